"""Datasets: what they hold, when it was known, and what is said when they are asked for wrongly."""

from pathlib import Path

import pandas as pd
import pytest

from modeling.datasets.catalog import load_dataset
from modeling.datasets.dataset import Dataset, in_months, months_of, require_rows
from modeling.datasets.table import load_table
from modeling.errors import DataError, RequestError


def _csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "churn.csv"
    path.write_text(text)
    return path


def test_flights_are_in_event_time_order_and_labelled_only_after_they_left(flights: Dataset) -> None:
    assert flights.times.is_monotonic_increasing
    assert str(flights.times.dt.tz) == "UTC"
    minutes_in_the_air = (flights.frame["arrived_at"] - flights.times).dt.total_seconds() / 60
    assert minutes_in_the_air.min() > 20
    assert minutes_in_the_air.max() < 15 * 60


def test_a_known_flight_has_its_real_times_in_utc(flights: Dataset) -> None:
    # UA 1545, EWR to IAH, 1 January 2013: scheduled 05:15, left 05:17 EST, arrived 08:30 CST.
    first = flights.frame.iloc[0]
    assert (first["carrier"], first["origin"], first["dest"]) == ("UA", "EWR", "IAH")
    assert first["departed_at"] == pd.Timestamp("2013-01-01T10:17Z")
    assert first["arrived_at"] == pd.Timestamp("2013-01-01T14:30Z")
    assert (first["scheduled_departure_minute"], first["scheduled_arrival_minute"]) == (315, 499)
    assert first["day_of_week"] == 1


@pytest.mark.parametrize("dest", ["PHX", "LAX", "SJU"])  # Arizona and Puerto Rico keep no summer time
def test_a_flight_takes_as_long_in_summer_as_in_winter(flights: Dataset, dest: str) -> None:
    there = flights.frame[flights.frame["dest"] == dest]
    hours = (there["arrived_at"] - there["departed_at"]).dt.total_seconds() / 3600
    by_month = hours.groupby(there["departed_at"].dt.month).median()
    assert abs(by_month[7] - by_month[2]) < 0.7


def test_flights_are_late_from_the_sixteenth_minute(flights: Dataset) -> None:
    assert set(flights.y.unique()) == {0, 1}
    assert 0.2 < flights.y.mean() < 0.3


def test_the_weather_is_null_where_the_station_was_silent(flights: Dataset) -> None:
    assert 0 < flights.frame["pressure"].isna().mean() < 0.2
    assert not flights.frame[["carrier", "origin", "dest"]].isna().to_numpy().any()


def test_months_cut_by_event_time(flights: Dataset) -> None:
    march = in_months(flights, ["2013-03"])
    assert months_of(march) == ["2013-03"]
    assert march.times.min() >= pd.Timestamp("2013-03-01T00:00Z")
    assert march.times.max() < pd.Timestamp("2013-04-01T00:00Z")


def test_a_month_without_rows_is_named_with_those_there_are(flights: Dataset) -> None:
    with pytest.raises(RequestError, match=r"no rows in 2012-05; it has 2013-01, 2013-02"):
        in_months(flights, ["2012-05"])


@pytest.mark.parametrize("month", ["2013-13", "2013/01", "January", ""])
def test_what_is_no_month_is_refused_with_the_form(flights: Dataset, month: str) -> None:
    with pytest.raises(RequestError, match="write it as YYYY-MM"):
        in_months(flights, [month])


def test_data_without_time_has_no_months() -> None:
    with pytest.raises(RequestError, match="iris has no event time"):
        in_months(load_dataset("iris"), ["2013-01"])


@pytest.mark.parametrize(
    ("name", "rows", "features", "task"),
    [("iris", 150, 4, "classifier"), ("breast_cancer", 569, 30, "classifier"), ("diabetes", 442, 10, "regressor")],
)
def test_the_small_datasets(name: str, rows: int, features: int, task: str) -> None:
    dataset = load_dataset(name)
    assert (len(dataset), len(dataset.features), dataset.task) == (rows, features, task)
    assert dataset.target not in dataset.features


def test_an_unknown_dataset_lists_the_choices() -> None:
    with pytest.raises(RequestError, match="flights, iris, breast_cancer, diabetes"):
        load_dataset("titanic")


def test_a_file_needs_a_target(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="which column"):
        load_dataset(str(_csv(tmp_path, "a,b\n1,2\n")))


def test_an_unknown_target_lists_the_columns_and_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no column 'churnd' \(did you mean 'churned'\?\); it has age, churned"):
        load_table(_csv(tmp_path, "age,churned\n1,yes\n"), "churnd")


def test_a_csv_is_sorted_by_its_time_and_left_without_unlabelled_rows(tmp_path: Path) -> None:
    text = "at,age,churned\n2024-02-01T00:00:00+01:00,2,no\n2024-01-01T00:00:00Z,1,yes\n2024-03-01T00:00:00Z,3,\n"
    dataset = load_table(_csv(tmp_path, text), "churned", event_time="at")
    assert dataset.features == ("age",)
    assert list(dataset.frame["age"]) == [1, 2]
    assert months_of(dataset) == ["2024-01"]
    assert dataset.task == "classifier"


@pytest.mark.parametrize(
    ("values", "task"),
    [("0\n1\n1\n", "classifier"), ("0.5\n1\n2\n", "regressor"), ("true\nfalse\ntrue\n", "classifier")],
)
def test_the_task_follows_from_the_target(tmp_path: Path, values: str, task: str) -> None:
    dataset = load_table(_csv(tmp_path, "y\n" + values), "y")
    assert dataset.task == task


def test_a_parquet_file_reads_like_the_csv(tmp_path: Path) -> None:
    csv = load_table(_csv(tmp_path, "age,name,y\n1,ä,0\n2,,1\n"), "y")
    csv.frame.to_parquet(tmp_path / "churn.parquet")
    parquet = load_table(tmp_path / "churn.parquet", "y")
    pd.testing.assert_frame_equal(csv.frame, parquet.frame)


@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe", b"PK\x03\x04"])
def test_junk_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "junk.csv"
    path.write_bytes(content)
    with pytest.raises((DataError, RequestError), match=r"junk\.csv"):
        load_table(path, "y")


def test_junk_parquet_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "junk.parquet"
    path.write_bytes(b"not parquet")
    with pytest.raises(DataError, match=r"junk\.parquet cannot be read"):
        load_table(path, "y")


def test_a_bad_time_is_refused_naming_its_column(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'at' is not a time"):
        load_table(_csv(tmp_path, "at,y\nyesterday,1\n"), "y", event_time="at")


def test_one_class_is_nothing_to_learn(tmp_path: Path) -> None:
    dataset = load_table(_csv(tmp_path, "a,y\n" + "1,yes\n" * 5), "y")
    with pytest.raises(DataError, match="one value only"):
        require_rows(dataset, 2)
    with pytest.raises(DataError, match="has 5 rows here"):
        require_rows(dataset, 50)
