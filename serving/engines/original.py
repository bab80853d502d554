"""A model as it was logged: asked through a DataFrame (or matrix) of its signature's types.

Imports pandas, so API workers never import this module.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serving.rows import Answers, LabelKind, Rows, Value
from serving.signature import Column, Signature

_DTYPES = {"double": "float64", "float": "float32", "long": "int64", "integer": "int32", "boolean": "bool"}


class Predictor(Protocol):
    """What every logged model has: scikit-learn's estimators, MLflow's pyfunc."""

    def predict(self, rows: Any, /) -> Any:
        """One answer per row."""


def original_input(rows: Rows, signature: Signature) -> pd.DataFrame | NDArray[Any]:
    """The rows as the model saw them in training: a DataFrame, or a matrix where columns have one type and no names.

    Missing strings become NaN in pandas' string type, as in any frame that pandas reads: an encoder trained on
    such a column takes None for another category. An integer column with a null becomes float, as in MLflow.
    """
    if signature.positional and not signature.string_columns and len({one.dtype for one in signature.columns}) == 1:
        return _numeric(rows.numbers, signature.columns[0])
    columns: dict[str, Any] = {}
    numbers = iter(rows.numbers.T)
    strings = iter(zip(*rows.strings, strict=True)) if len(rows) else iter(())
    for column in signature.columns:
        if column.kind == "string":
            columns[column.name] = pd.array(list(next(strings)), dtype=pd.StringDtype(na_value=np.nan))
        else:
            columns[column.name] = _numeric(next(numbers), column)
    frame = pd.DataFrame(columns)
    return frame.set_axis(range(len(columns)), axis=1) if signature.positional else frame


def _numeric(values: NDArray[np.float64], column: Column) -> NDArray[Any]:
    dtype = _DTYPES.get(column.dtype, "float64")
    missing = np.isnan(values)
    if not missing.any() or dtype.startswith("float"):
        return values.astype(dtype)
    if dtype == "bool":
        return np.where(missing, None, values.astype(bool).astype(object))  # type: ignore[call-overload,no-any-return]
    return values


class OriginalModel:
    """Answers rows with the logged model itself. Not thread-safe beyond what the model is.

    Args:
        classes: Of a classifier that lists them.
        label_kind: Of one that does not: what its labels are; `any` passes on whatever can be served.
    """

    def __init__(
        self,
        model: Predictor,
        signature: Signature,
        classes: list[Value] | None,
        label_kind: LabelKind | Literal["any"] | None = None,
    ) -> None:
        self._model = model
        self._signature = signature
        self._classes = classes
        self._plain: Callable[[NDArray[Any]], list[Value]] = _READINGS[label_kind]

    def predict(self, rows: Rows) -> Answers:
        """Raises whatever the model raises, and ValueError when it does not answer row by row and in its own type."""
        given = original_input(rows, self._signature)
        predictions = np.asarray(self._model.predict(given))
        if predictions.ndim == 2 and predictions.shape[1] == 1:
            predictions = predictions[:, 0]
        if predictions.shape != (len(rows),):
            raise ValueError(f"the model answered {len(rows)} rows with an array of shape {predictions.shape}")
        if self._classes is None:
            return Answers(self._plain(predictions), None)
        return Answers(predictions.tolist(), self._probabilities(given, len(rows)))

    def _probabilities(self, given: Any, count: int) -> list[list[float]] | None:
        predict_proba = getattr(self._model, "predict_proba", None)
        if predict_proba is None:
            return None
        probabilities = np.asarray(predict_proba(given), dtype=np.float64)
        if probabilities.shape != (count, len(self._classes or ())):
            raise ValueError(f"the model answered {count} rows with probabilities of shape {probabilities.shape}")
        return probabilities.tolist()  # type: ignore[no-any-return]


def _numbers(predictions: NDArray[Any]) -> list[Value]:
    if predictions.dtype.kind in "fiu":
        return predictions.astype(np.float64).tolist()  # type: ignore[no-any-return]
    values = _served(predictions)
    wrong = [one for one in values if isinstance(one, str | bool)]
    if wrong:
        raise ValueError(f"the model answered {wrong[0]!r}, where its answers are numbers")
    return [float(one) for one in values]


def _booleans(predictions: NDArray[Any]) -> list[Value]:
    return _all(predictions, bool, "true and false")


def _strings(predictions: NDArray[Any]) -> list[Value]:
    return _all(predictions, str, "strings")


def _integers(predictions: NDArray[Any]) -> list[Value]:
    values = _served(predictions)
    if predictions.dtype.kind not in "iu":
        values = [int(one) if type(one) is float and one.is_integer() else one for one in values]
    wrong = [one for one in values if type(one) is not int or not -(2**63) <= one < 2**63]
    if wrong:
        raise ValueError(f"the model answered {wrong[0]!r}, where its labels are integers of 64 bits")
    return values


def _all(predictions: NDArray[Any], kind: type, said: str) -> list[Value]:
    values = _served(predictions)
    for one in values:
        if type(one) is not kind:
            raise ValueError(f"the model answered {one!r}, where its labels are {said}")
    return values


def _served(predictions: NDArray[Any]) -> list[Value]:
    """As plain Python values; raises ValueError for what is no string, number or boolean."""
    values = predictions.tolist()
    if predictions.dtype.kind == "O":
        values = [one.item() if isinstance(one, np.generic) else one for one in values]
    wrong = [one for one in values if not isinstance(one, str | int | float | bool)]
    if wrong:
        raise ValueError(f"the model answered {wrong[0]!r:.80}: only a number, a string or true or false is served")
    return values  # type: ignore[no-any-return]


_READINGS: Mapping[str | None, Callable[[NDArray[Any]], list[Value]]] = {
    None: _numbers,
    "boolean": _booleans,
    "integer": _integers,
    "string": _strings,
    "any": _served,
}
