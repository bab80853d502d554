"""Datasets as streams."""

import itertools
import json

import pandas as pd
import pytest

from modeling.datasets.catalog import load_dataset
from modeling.datasets.dataset import Dataset
from modeling.errors import RequestError
from modeling.stream import simulated_rows


def test_flights_come_in_event_time_order_with_what_is_known_when(flights: Dataset) -> None:
    rows = list(simulated_rows(flights, months=("2013-04",), rows=3_000))
    times = [row.event_time for row in rows if row.event_time is not None]
    assert len(rows) == len(times) == 3_000
    assert times == sorted(times)
    assert {time.month for time in times} == {4}
    assert all(row.label_known_at and row.event_time and row.label_known_at > row.event_time for row in rows)
    assert times[-1] - times[0] > pd.Timedelta(days=28)


def test_rows_are_json_with_null_for_what_is_missing(flights: Dataset) -> None:
    rows = list(simulated_rows(flights, months=("2013-01",), rows=2_000))
    assert all(list(row.features) == list(flights.features) for row in rows)
    assert any(row.features["pressure"] is None for row in rows)
    json.dumps([row.features for row in rows], allow_nan=False)
    assert {type(row.features["distance"]) for row in rows} == {int}
    assert {type(row.label) for row in rows} == {int}


def test_the_same_seed_gives_the_same_rows(flights: Dataset) -> None:
    first, again, other = (list(simulated_rows(flights, seed=seed, months=("2013-01",), rows=50)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_all_rows_come_once_when_no_number_is_given() -> None:
    iris = load_dataset("iris")
    rows = list(simulated_rows(iris))
    assert len(rows) == 150
    expected = sorted(map(tuple, iris.x.to_numpy()))
    assert sorted(tuple(row.features.values()) for row in rows) == expected


def test_data_without_time_goes_round_anew() -> None:
    rows = list(simulated_rows(load_dataset("iris"), rows=400))
    assert len(rows) == 400
    assert rows[:150] != rows[150:300]
    assert all(row.event_time is None and row.label_known_at is None for row in rows)


def test_months_need_time() -> None:
    with pytest.raises(RequestError, match="no event time"):
        simulated_rows(load_dataset("iris"), months=("2013-01",))


def test_strings_and_their_nulls_survive() -> None:
    frame = pd.DataFrame({"city": ["Köln", None] * 10, "flag": [True, False] * 10, "y": ["a", "b"] * 10})
    rows = simulated_rows(Dataset("made", "made up", frame, "y", "classifier", ("city", "flag")), seed=3)
    seen = {(row.features["city"], row.features["flag"], row.label) for row in itertools.islice(rows, 20)}
    assert seen == {("Köln", True, "a"), (None, False, "b")}


def test_no_rows_are_no_rows() -> None:
    assert list(simulated_rows(load_dataset("iris"), rows=0)) == []
