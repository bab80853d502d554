"""The flights are read once; tests about what happens to a model rather than in it see every twentieth."""

import pytest

from modeling.datasets.dataset import Dataset
from modeling.datasets.flights import load_flights


@pytest.fixture(scope="session")
def flights() -> Dataset:
    return load_flights()


@pytest.fixture
def few_flights(flights: Dataset, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    few = flights.with_frame(flights.frame.iloc[::20])
    monkeypatch.setattr("modeling.first_models.load_dataset", lambda _name: few)
    return few
