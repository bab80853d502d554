"""What an engine is given and what it gives back: the only form rows have inside serving."""

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

Value = str | int | float | bool
LabelKind = Literal["boolean", "integer", "string"]
"""What the labels are of a classifier whose classes nobody listed."""


class Rows(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Rows by signature, split by type.

    Attributes:
        numbers: float64, shape (rows, numeric columns), columns in signature order; null is NaN,
            booleans are 0 and 1.
        strings: One tuple per row, of the string columns in signature order; null is None.
            Empty tuples when the signature has no string column.
    """

    numbers: NDArray[np.float64]
    strings: Sequence[tuple[str | None, ...]]

    def __len__(self) -> int:
        return len(self.numbers)


class Answers(msgspec.Struct, frozen=True, gc=False):
    """A model's answers, row by row, as plain Python values ready for JSON.

    Attributes:
        predictions: Class labels in their own type, or floats for regressors.
        probabilities: Per row one float per class, in the order of `Bundle.classes`; None for regressors and
            classifiers without probabilities.
    """

    predictions: list[Value]
    probabilities: list[list[float]] | None


class Engine(Protocol):
    """Runs one model. Thread-safe. Holds its model until `close`."""

    @property
    def inline(self) -> bool:
        """Whether `predict` is quick enough (measured) to be called in the event loop; otherwise call it in a thread."""

    def predict(self, rows: Rows) -> Answers:
        """Answers every row, or raises EngineError for the whole call; an answer never depends on its neighbours."""

    def close(self) -> None:
        """Releases the model. Idempotent."""
