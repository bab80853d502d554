"""How our own converters are registered with skl2onnx and write their nodes."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)

from serving.compile.errors import NotConvertibleError

_KINDS = {"f8": TensorProto.DOUBLE, "f4": TensorProto.FLOAT, "i8": TensorProto.INT64, "U": TensorProto.STRING}
BINARY_PREFIX = "understudy_pair"
"""Begins the name of the tensor (1 - p, p); the engine needs only p."""


def register_classifier(kind: type, shapes: Any, convert: Any) -> None:
    """Replaces skl2onnx's converter of a classifier, for this process."""
    options = {"zipmap": [True, False, "columns"], "nocl": [True, False], "output_class_labels": [False, True]}
    update_registered_converter(kind, f"Understudy{kind.__name__}", shapes, convert, overwrite=True, options=options)


def register_regressor(kind: type, convert: Any) -> None:
    """Replaces skl2onnx's converter of a regressor, for this process."""
    shapes = calculate_linear_regressor_output_shapes
    update_registered_converter(kind, f"Understudy{kind.__name__}", shapes, convert, overwrite=True)


def classifier_shapes(operator: Any) -> None:
    """Labels, and probabilities as doubles."""
    calculate_linear_classifier_output_shapes(operator)
    operator.outputs[1].type = DoubleTensorType(operator.outputs[1].type.shape)


class GraphWriter:
    """Adds nodes to skl2onnx's container under fresh names; `input` is the operator's input as doubles."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self._scope, self._container = scope, container
        self.model = operator.raw_operator
        self.outputs = [output.full_name for output in operator.outputs]
        self._operator = operator

    @functools.cached_property
    def plain_input(self) -> str:
        """The operator's input as one tensor of its own type."""
        names = [variable.full_name for variable in self._operator.inputs]
        return names[0] if len(names) == 1 else self.node("Concat", names, axis=1)

    @functools.cached_property
    def input(self) -> str:
        """The operator's input as one tensor of doubles."""
        if isinstance(self._operator.inputs[0].type, DoubleTensorType):
            return self.plain_input
        return self.node("Cast", [self.plain_input], to=TensorProto.DOUBLE)

    def node(self, op_type: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        name = output or self._scope.get_unique_variable_name(f"understudy_{op_type.lower()}")
        self._container.add_node(
            op_type, list(inputs), name, name=self._scope.get_unique_operator_name(op_type), **attributes
        )
        return name

    def constant(self, values: NDArray[Any]) -> str:
        name: str = self._scope.get_unique_variable_name("understudy_constant")
        kind = _KINDS[values.dtype.str[1:2] if values.dtype.kind == "U" else values.dtype.str[1:]]
        flat = [str(one).encode() for one in values] if kind == TensorProto.STRING else values.ravel().tolist()
        self._container.add_initializer(name, kind, list(values.shape), flat)
        return name

    def node_of_a_later_opset(self, op_type: str, domain: str, attributes: dict[str, Any]) -> str:
        """A node on `input` that skl2onnx does not know yet: it goes in past its check of the opset."""
        name: str = self._scope.get_unique_variable_name(f"understudy_{op_type.lower()}")
        self._container.nodes.append(
            helper.make_node(op_type, [self.input], [name], name=name, domain=domain, **attributes)
        )
        self._container.node_domain_version_pair_sets.add((domain, 1))
        return name

    def classes_out(self, second_or_all: str, *, binary: bool) -> None:
        """Writes the label and probability outputs; `second_or_all` is p(second class) where there are two."""
        probabilities = second_or_all
        if binary:
            first = self.node("Sub", [self.constant(np.ones(1)), second_or_all])
            pair = self._scope.get_unique_variable_name(BINARY_PREFIX)
            probabilities = self.node("Concat", [first, second_or_all], pair, axis=1)
        self._out("Identity", [probabilities], self.outputs[1])
        best = self.node("ArgMax", [probabilities], axis=1, keepdims=0)
        classes = np.asarray(self.model.classes_)
        if classes.dtype.kind in "ObuiU":
            words = classes.dtype.kind in "OU"
            classes = np.array([str(one) for one in classes]) if words else classes.astype(np.int64)
        else:
            raise NotConvertibleError(
                f"class labels of type {classes.dtype} are not supported: use integers or strings"
            )
        self._out("Gather", [self.constant(classes), best], self.outputs[0], axis=0)

    def _out(self, op_type: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        self.node(op_type, inputs, output, **attributes)
