"""A model as it was logged: asked through a DataFrame (or matrix) of its signature's types.

Imports pandas, so API workers never import this module.
"""

from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serving.rows import Answers, Rows, Value
from serving.signature import Column, Signature

_DTYPES = {"double": "float64", "float": "float32", "long": "int64", "integer": "int32", "boolean": "bool"}


class Predictor(Protocol):
    """What every logged model has: scikit-learn's estimators, MLflow's pyfunc."""

    def predict(self, rows: Any, /) -> Any:
        """One answer per row."""


def original_input(rows: Rows, signature: Signature) -> pd.DataFrame | NDArray[np.float64]:
    """The rows as the model saw them in training: a matrix for a positional model, else a DataFrame.

    Missing strings become NaN in pandas' string type, as in any frame that pandas reads: an encoder trained on
    such a column takes None for another category. An integer column with a null becomes float, as in MLflow.
    """
    if signature.positional:
        return rows.numbers
    columns: dict[str, Any] = {}
    numbers = iter(rows.numbers.T)
    strings = iter(zip(*rows.strings, strict=True)) if len(rows) else iter(())
    for column in signature.columns:
        if column.kind == "string":
            columns[column.name] = pd.array(list(next(strings)), dtype=pd.StringDtype(na_value=np.nan))
        else:
            columns[column.name] = _numeric(next(numbers), column)
    return pd.DataFrame(columns)


def _numeric(values: NDArray[np.float64], column: Column) -> NDArray[Any]:
    dtype = _DTYPES.get(column.dtype, "float64")
    missing = np.isnan(values)
    if not missing.any() or dtype.startswith("float"):
        return values.astype(dtype)
    if dtype == "bool":
        return np.where(missing, None, values.astype(bool).astype(object))  # type: ignore[call-overload,no-any-return]
    return values


class OriginalModel:
    """Answers rows with the logged model itself. Not thread-safe beyond what the model is."""

    def __init__(self, model: Predictor, signature: Signature, classes: list[Value] | None) -> None:
        self._model = model
        self._signature = signature
        self._classes = classes

    def predict(self, rows: Rows) -> Answers:
        """Raises whatever the model raises, and ValueError when it does not answer row by row."""
        given = original_input(rows, self._signature)
        predictions = np.asarray(self._model.predict(given))
        if predictions.ndim == 2 and predictions.shape[1] == 1:
            predictions = predictions[:, 0]
        if predictions.shape != (len(rows),):
            raise ValueError(f"the model answered {len(rows)} rows with an array of shape {predictions.shape}")
        if self._classes is None:
            return Answers(predictions.astype(np.float64).tolist(), None)
        return Answers(predictions.tolist(), self._probabilities(given, len(rows)))

    def _probabilities(self, given: Any, count: int) -> list[list[float]] | None:
        predict_proba = getattr(self._model, "predict_proba", None)
        if predict_proba is None:
            return None
        probabilities = np.asarray(predict_proba(given), dtype=np.float64)
        if probabilities.shape != (count, len(self._classes or ())):
            raise ValueError(f"the model answered {count} rows with probabilities of shape {probabilities.shape}")
        return probabilities.tolist()  # type: ignore[no-any-return]
