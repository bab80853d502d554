"""What an `MLmodel` file says about a model, read without mlflow and without touching the model itself."""

from dataclasses import dataclass
from typing import Literal

Serialization = Literal["skops", "pickle", "cloudpickle", "joblib", "pyfunc", "onnx", "unknown"]


@dataclass(frozen=True)
class ColumnSpec:
    """One column as MLflow names it.

    Attributes:
        name: None where the model takes its columns by position.
        type: `double`, `float`, `long`, `integer`, `boolean`, `string`, `datetime`, `binary` or `object`.
        required: False where null (or the column's absence) is allowed.
    """

    name: str | None
    type: str
    required: bool = True


@dataclass(frozen=True)
class TensorSpec:
    """One tensor: `dtype` is numpy's name; -1 in `shape` is any length."""

    name: str | None
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ModelSignature:
    """Inputs and outputs; a model has columns or tensors, not both."""

    columns: tuple[ColumnSpec, ...] = ()
    tensors: tuple[TensorSpec, ...] = ()
    output_columns: tuple[ColumnSpec, ...] = ()
    output_tensors: tuple[TensorSpec, ...] = ()
