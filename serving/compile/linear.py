"""Logistic regression as one matrix product in double precision; skl2onnx's own form is right but twice as long."""

from typing import Any, Final

import numpy as np
from sklearn.linear_model import LogisticRegression

from serving.compile.writer import GraphWriter, classifier_shapes, register_classifier

ARGMAX_LINEAR: Final = (LogisticRegression,)
"""Their label is the most probable class, ties to the first."""


def register_linear_converters() -> None:
    """Puts this converter in place of skl2onnx's own, for this process."""
    register_classifier(LogisticRegression, classifier_shapes, _convert_logistic_regression)


def _convert_logistic_regression(scope: Any, operator: Any, container: Any) -> None:
    write = GraphWriter(scope, operator, container)
    model = write.model
    weights = np.ascontiguousarray(model.coef_.T, dtype=np.float64)
    bias = np.asarray(model.intercept_, dtype=np.float64).reshape(-1)
    raw = write.node(
        "Gemm", [write.input, write.constant(weights), write.constant(np.broadcast_to(bias, weights.shape[1]))]
    )
    if len(model.classes_) == 2:
        write.classes_out(write.node("Sigmoid", [raw]), binary=True)
        return
    one_against_rest = model.solver == "liblinear" or getattr(model, "multi_class", None) == "ovr"
    write.classes_out(
        _normalised(write, raw) if one_against_rest else write.node("Softmax", [raw], axis=1), binary=False
    )


def _normalised(write: GraphWriter, raw: str) -> str:
    each = write.node("Sigmoid", [raw])
    total = write.node("ReduceSum", [each, write.constant(np.array([1]))], keepdims=1)
    return write.node("Div", [each, total])
