"""A dataset as a stream of rows in event-time order, each with its label and when that became known."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modeling.datasets.dataset import Dataset, in_months
from modeling.fit import column_values

_CHUNK_ROWS = 1_000

Label = str | int | float | bool


@dataclass(frozen=True, slots=True)
class SimulatedRow:
    """One row as a caller would send it.

    Attributes:
        features: Column to JSON value; null is None.
        label: The truth, in the type the model learned.
        event_time: When it happened, UTC; None for data without time.
        label_known_at: When the truth was known, UTC; None: as soon as the answer.
    """

    features: dict[str, Any]
    label: Label
    event_time: datetime | None = None
    label_known_at: datetime | None = None


def simulated_rows(
    dataset: Dataset, *, seed: int = 0, months: tuple[str, ...] = (), rows: int | None = None
) -> Iterator[SimulatedRow]:
    """Streams a dataset; the same arguments give the same rows.

    Data with time comes in its order, each row once; `rows` thins it evenly at random. Data without time comes
    shuffled, and again shuffled anew when more rows are asked for than there are.

    Args:
        dataset: What to stream.
        seed: Of the choice and the shuffles.
        months: Only these; data with time only.
        rows: How many; None: every row once.

    Raises:
        RequestError: A month that has no rows, or months for data without time.
    """
    if months:
        dataset = in_months(dataset, months)
    random = np.random.default_rng(seed)
    wanted = len(dataset) if rows is None else rows
    order = _thinned(len(dataset), wanted, random) if dataset.event_time else _shuffled(len(dataset), wanted, random)
    return _in_chunks(dataset, order)


def _thinned(there: int, wanted: int, random: np.random.Generator) -> NDArray[np.int64]:
    return np.sort(random.choice(there, size=min(wanted, there), replace=False)).astype(np.int64)


def _shuffled(there: int, wanted: int, random: np.random.Generator) -> NDArray[np.int64]:
    rounds = -(-wanted // there)
    return np.concatenate([random.permutation(there) for _ in range(max(rounds, 1))])[:wanted].astype(np.int64)


def _in_chunks(dataset: Dataset, order: NDArray[np.int64]) -> Iterator[SimulatedRow]:
    for start in range(0, len(order), _CHUNK_ROWS):
        frame = dataset.frame.iloc[order[start : start + _CHUNK_ROWS]]
        columns = [_json_values(frame[name]) for name in dataset.features]
        happened = _moments(frame, dataset.event_time)
        known = _moments(frame, dataset.label_known_at)
        labels = column_values(frame[dataset.target]).tolist()
        for values, label, at, known_at in zip(zip(*columns, strict=True), labels, happened, known, strict=True):
            yield SimulatedRow(dict(zip(dataset.features, values, strict=True)), label, at, known_at)


def _json_values(column: pd.Series) -> list[Any]:
    values = column_values(column).tolist()
    # NaN alone differs from itself.
    return [None if value != value else value for value in values]  # noqa: PLR0124


def _moments(frame: pd.DataFrame, column: str | None) -> list[datetime | None]:
    if column is None:
        return [None] * len(frame)
    return [moment.to_pydatetime() for moment in frame[column]]
