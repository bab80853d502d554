"""The flights are read once."""

import pytest

from modeling.datasets.dataset import Dataset
from modeling.datasets.flights import load_flights


@pytest.fixture(scope="session")
def flights() -> Dataset:
    return load_flights()
