"""Which rows to learn from, to choose and profile by, and to be judged by; in that order of time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
from sklearn.model_selection import train_test_split

from modeling.datasets.dataset import Dataset, in_months, require_rows
from modeling.errors import RequestError

LEAST_ROWS = 20
_HELD_OUT = 0.2


@dataclass(frozen=True)
class Months:
    """Months (`2013-01`) per part; none at all: the dataset's own choice."""

    train: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.train or self.val or self.test)


@dataclass(frozen=True)
class Split:
    """Three parts without a row in common."""

    train: Dataset
    val: Dataset
    test: Dataset

    def __iter__(self) -> Iterator[Dataset]:
        return iter((self.train, self.val, self.test))

    @property
    def window(self) -> tuple[datetime, datetime] | None:
        """First and last event time over all three parts, UTC; None for data without time."""
        if self.train.event_time is None:
            return None
        first = min(part.times.min() for part in self)
        last = max(part.times.max() for part in self)
        return first.to_pydatetime(), last.to_pydatetime()


def split(dataset: Dataset, months: Months, *, seed: int) -> Split:
    """Cuts a dataset into three.

    By months where they are given; a part without months is cut off the end of the training months, a fifth
    of their rows each. Data with time is cut in its order, data without at random (stratified by class).

    Raises:
        RequestError: A month that has no rows or is in two parts, or months for data without time.
        DataError: A part has too few rows, or the training part one class only.
    """
    if not months and dataset.default_months:
        months = Months(*((month,) for month in dataset.default_months))
    parts = _by_months(dataset, months) if months else _by_share(dataset, seed)
    require_rows(parts.train, LEAST_ROWS)
    for part in (parts.val, parts.test):
        require_rows(part, 2)
    return parts


def _by_months(dataset: Dataset, months: Months) -> Split:
    if not months.train:
        raise RequestError("name the months to train on, too")
    _refuse_overlap(months)
    train = in_months(dataset, months.train)
    test = in_months(dataset, months.test) if months.test else None
    val = in_months(dataset, months.val) if months.val else None
    held_out = int(len(train) * _HELD_OUT)
    if test is None:
        train, test = _cut_end(train, held_out)
    if val is None:
        train, val = _cut_end(train, held_out)
    return Split(train, val, test)


def _refuse_overlap(months: Months) -> None:
    named = [*months.train, *months.val, *months.test]
    twice = sorted({month for month in named if named.count(month) > 1})
    if twice:
        raise RequestError(f"month {', '.join(twice)} is in two parts: a model is not judged by what it learned from")


def _by_share(dataset: Dataset, seed: int) -> Split:
    held_out = max(int(len(dataset) * _HELD_OUT), 1)
    if dataset.event_time is not None:
        rest, test = _cut_end(dataset, held_out)
        return Split(*_cut_end(rest, held_out), test)
    rest, test = _cut_random(dataset, held_out, seed)
    return Split(*_cut_random(rest, held_out, seed), test)


def _cut_end(dataset: Dataset, rows: int) -> tuple[Dataset, Dataset]:
    cut = len(dataset) - rows
    return dataset.with_frame(dataset.frame.iloc[:cut]), dataset.with_frame(dataset.frame.iloc[cut:])


def _cut_random(dataset: Dataset, rows: int, seed: int) -> tuple[Dataset, Dataset]:
    require_rows(dataset, LEAST_ROWS)
    left, right = train_test_split(dataset.frame, test_size=rows, random_state=seed, stratify=_strata(dataset, rows))
    return dataset.with_frame(left), dataset.with_frame(right)


def _strata(dataset: Dataset, rows: int) -> pd.Series | None:
    """The classes, when each has enough rows to be in both parts."""
    if dataset.task == "regressor":
        return None
    sizes = dataset.y.value_counts()
    return dataset.y if sizes.min() >= 2 and len(sizes) <= rows else None
