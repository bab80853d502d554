"""The flights are read once; tests about what happens to a model rather than in it see every sixtieth."""

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits

from modeling.datasets.dataset import Dataset
from modeling.datasets.flights import load_flights


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Two threads of OpenMP on a busy machine wait for each other hundreds of times as long as they work."""
    import sklearn.ensemble  # noqa: F401, PLC0415 -- only libraries that are loaded can be limited

    with threadpool_limits(limits=1):
        yield


@pytest.fixture(scope="session")
def flights() -> Dataset:
    return load_flights()


@pytest.fixture
def few_flights(flights: Dataset, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    few = flights.with_frame(flights.frame.iloc[::60])
    monkeypatch.setattr("modeling.first_models.load_dataset", lambda _name: few)
    return few
