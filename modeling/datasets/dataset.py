"""Dataset: a table with a target and, where it has one, a real event time; and how to cut it by months."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from modeling.errors import DataError, RequestError

Task = Literal["classifier", "regressor"]

_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True)
class Dataset:
    """Rows ready to train on.

    Attributes:
        frame: One row per example: the features, the target, and the time columns where there are any.
            Rows with an event time are in its order.
        target: Column to predict.
        features: Columns a model is given, in its order; known at event time.
        event_time: Column (UTC) saying when the row happened; None when the data has no time.
        label_known_at: Column (UTC) saying when the target became known; never before `event_time`.
        class_names: Meaning of the target's classes, where they are numbers.
        default_months: To train, validate and test on when nobody says which; None where there are none.
    """

    name: str
    description: str
    frame: pd.DataFrame
    target: str
    task: Task
    features: tuple[str, ...]
    event_time: str | None = None
    label_known_at: str | None = None
    class_names: tuple[str, ...] = ()
    default_months: tuple[str, str, str] | None = None

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def x(self) -> pd.DataFrame:
        """The features."""
        return self.frame[list(self.features)]

    @property
    def y(self) -> pd.Series:
        """The target."""
        return self.frame[self.target]

    @property
    def times(self) -> pd.Series:
        """Event times in UTC. Raises RequestError for data without time."""
        if self.event_time is None:
            raise RequestError(f"dataset {self.name} has no event time, so it has no months: leave the months out")
        return self.frame[self.event_time]

    def with_frame(self, frame: pd.DataFrame) -> "Dataset":
        """The same dataset with other rows, numbered from 0."""
        return replace(self, frame=frame.reset_index(drop=True))


def months_of(dataset: Dataset) -> list[str]:
    """Months (`2013-01`, of event time in UTC) that have rows, in order."""
    return _month_names(_month_keys(dataset))


def in_months(dataset: Dataset, months: Iterable[str]) -> Dataset:
    """The rows of some months.

    Raises:
        RequestError: A month is not written `YYYY-MM` or has no rows; the message lists those that have.
    """
    wanted = list(months)
    keys = _month_keys(dataset)
    there = _month_names(keys)
    for month in wanted:
        if not _MONTH.fullmatch(month):
            raise RequestError(f"month {month!r} is not a month: write it as YYYY-MM, e.g. {there[0]}")
        if month not in there:
            raise RequestError(f"dataset {dataset.name} has no rows in {month}; it has {', '.join(there)}")
    return dataset.with_frame(dataset.frame[keys.isin([int(month.replace("-", "")) for month in wanted])])


def require_rows(dataset: Dataset, least: int) -> None:
    """Raises DataError when there are fewer than `least` rows, or when a classifier would see one class only."""
    if len(dataset) < least:
        raise DataError(f"dataset {dataset.name} has {len(dataset)} rows here, and at least {least} are needed")
    if dataset.task == "classifier" and dataset.y.nunique() < 2:
        raise DataError(f"target {dataset.target!r} of {dataset.name} has one value only: there is nothing to learn")


def _month_keys(dataset: Dataset) -> pd.Series:
    """Year and month as one number, e.g. 201301."""
    times = dataset.times.dt
    keys: pd.Series = times.year * 100 + times.month
    return keys


def _month_names(keys: pd.Series) -> list[str]:
    return [f"{key // 100:04d}-{key % 100:02d}" for key in sorted(keys.unique())]
