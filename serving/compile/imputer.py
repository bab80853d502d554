"""Imputers of numbers in the input's own precision; onnxruntime has ai.onnx.ml's `Imputer` for float32 only."""

from typing import Any

import numpy as np
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.impute import SimpleImputer

from serving.compile.errors import NotConvertibleError
from serving.compile.writer import GraphWriter


def register_imputer_converter() -> None:
    """Puts this converter in place of skl2onnx's own, for this process."""
    update_registered_converter(SimpleImputer, "UnderstudySimpleImputer", _shapes, _convert, overwrite=True)


def _shapes(operator: Any) -> None:
    width = sum(variable.type.shape[1] for variable in operator.inputs)
    operator.outputs[0].type = type(operator.inputs[0].type)([operator.inputs[0].type.shape[0], width])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    write = GraphWriter(scope, operator, container)
    model = write.model
    if model.add_indicator or not (isinstance(model.missing_values, float) and np.isnan(model.missing_values)):
        raise NotConvertibleError("SimpleImputer is compiled for missing_values=nan and add_indicator=False only")
    values = np.asarray(model.statistics_, dtype=np.float64)
    if np.isnan(values).any():
        raise NotConvertibleError("SimpleImputer met a column without any value in training and drops it")
    double = isinstance(operator.inputs[0].type, DoubleTensorType)
    given = write.plain_input
    fill = write.constant(values if double else values.astype(np.float32))
    write.node("Where", [write.node("IsNaN", [given]), fill, given], write.outputs[0])
