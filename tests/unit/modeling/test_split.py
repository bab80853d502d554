"""Which rows go where."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from modeling.datasets.catalog import load_dataset
from modeling.datasets.dataset import Dataset, months_of
from modeling.errors import DataError, RequestError
from modeling.split import Months, split


def _timed(rows: int) -> Dataset:
    times = pd.date_range("2024-01-01", periods=rows, freq="6h", tz="UTC")
    frame = pd.DataFrame({"at": times, "x": np.arange(float(rows)), "y": np.arange(rows) % 2})
    return Dataset("timed", "made up", frame, "y", "classifier", ("x",), event_time="at")


def test_flights_have_months_of_their_own(flights: Dataset) -> None:
    parts = split(flights, Months(), seed=0)
    assert [months_of(part) for part in parts] == [["2013-01"], ["2013-02"], ["2013-03"]]


def test_the_window_spans_all_parts(flights: Dataset) -> None:
    window = split(flights, Months(), seed=0).window
    assert window is not None
    assert window[0] == datetime(2013, 1, 1, 10, 17, tzinfo=UTC)
    assert window[1].month == 3


def test_parts_without_months_are_cut_off_the_end_of_the_training_months() -> None:
    parts = split(_timed(200), Months(train=("2024-01",)), seed=0)
    assert [len(part) for part in parts] == [76, 24, 24]
    assert parts.train.times.max() < parts.val.times.min() < parts.val.times.max() < parts.test.times.min()


def test_data_with_time_and_no_months_is_cut_in_its_order() -> None:
    parts = split(_timed(100), Months(), seed=0)
    assert [list(part.frame["x"][:1]) for part in parts] == [[0.0], [60.0], [80.0]]


def test_a_month_in_two_parts_is_refused() -> None:
    with pytest.raises(RequestError, match="2024-01 is in two parts"):
        split(_timed(200), Months(train=("2024-01",), test=("2024-01",)), seed=0)


def test_months_to_test_on_need_months_to_train_on() -> None:
    with pytest.raises(RequestError, match="name the months to train on"):
        split(_timed(200), Months(test=("2024-01",)), seed=0)


def test_data_without_time_is_cut_at_random_the_same_way_every_time() -> None:
    iris = load_dataset("iris")
    first, again, other = (split(iris, Months(), seed=seed) for seed in (1, 1, 2))
    assert [len(part) for part in first] == [90, 30, 30]
    pd.testing.assert_frame_equal(first.train.frame, again.train.frame)
    assert not first.train.frame.equals(other.train.frame)
    assert first.train.y.value_counts().tolist() == [30, 30, 30]
    together = pd.concat([part.frame for part in first])
    assert sorted(map(tuple, together.to_numpy())) == sorted(map(tuple, iris.frame.to_numpy()))


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(DataError, match="at least 20 are needed"):
        split(_timed(10), Months(), seed=0)


def test_a_class_with_one_row_does_not_stop_the_cut() -> None:
    frame = pd.DataFrame({"x": np.arange(40.0), "y": ["rare"] + ["a", "b"] * 19 + ["a"]})
    parts = split(Dataset("rare", "made up", frame, "y", "classifier", ("x",)), Months(), seed=0)
    assert sum(len(part) for part in parts) == 40
