"""Datasets by name, or by the path of a file."""

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

from modeling.datasets.dataset import Dataset
from modeling.datasets.flights import load_flights
from modeling.datasets.table import SUFFIXES, load_table
from modeling.datasets.toy import load_breast_cancer, load_diabetes, load_iris
from modeling.errors import RequestError

DATASETS: MappingProxyType[str, Callable[[], Dataset]] = MappingProxyType(
    {"flights": load_flights, "iris": load_iris, "breast_cancer": load_breast_cancer, "diabetes": load_diabetes}
)


def load_dataset(name: str, *, target: str | None = None, event_time: str | None = None) -> Dataset:
    """Loads a dataset by its name, or a CSV or Parquet file by its path (which needs a target).

    Raises:
        RequestError: No dataset of this name, or a file without a target; the message lists the choices.
        DataError: The data cannot be read.
    """
    if name in DATASETS:
        dataset = DATASETS[name]()
        if target not in (None, dataset.target):
            raise RequestError(f"dataset {name} has one target, {dataset.target!r}, not {target!r}")
        return dataset
    if not name.endswith(SUFFIXES):
        raise RequestError(
            f"no dataset {name!r}; there are {', '.join(DATASETS)}, or give the path of a file ({', '.join(SUFFIXES)})"
        )
    if target is None:
        raise RequestError(f"which column of {name} is to be predicted? Name it as the target")
    return load_table(Path(name), target, event_time=event_time)
