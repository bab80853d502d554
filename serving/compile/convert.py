"""scikit-learn → ONNX with one double or string input per column, or one matrix of doubles."""

import contextlib
import copy
import warnings
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.base import is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline

from serving.compile.errors import NotConvertibleError
from serving.compile.imputer import register_imputer_converter
from serving.compile.linear import ARGMAX_LINEAR, register_linear_converters
from serving.compile.trees import EXACT_CLASSIFIERS, ML_DOMAIN, TREE_OPSET, register_tree_converters
from serving.signature import Signature

MATRIX_INPUT: Final = "numbers"
_TARGET: Final = {"": 21, ML_DOMAIN: 3}


@dataclass(frozen=True)
class Converted:
    """The graph as skl2onnx gives it.

    Attributes:
        columns: Graph input to column name; empty where the one input is the matrix of all numbers.
        labels_by_argmax: The label is the most probable class by the estimator's definition.
        has_probabilities: Whether the estimator itself gives them; skl2onnx names raw scores so, too.
        null_words: Words that the model's own imputers put in place of a missing string.
        single: Numbers are float32 in the graph.
    """

    graph: onnx.ModelProto
    columns: dict[str, str]
    labels_by_argmax: bool
    has_probabilities: bool
    null_words: tuple[str, ...]
    single: bool


def convert(estimator: Any, signature: Signature, *, single: bool = False) -> Converted:
    """Converts the fitted estimator in double precision, or in single where onnxruntime knows an operator only so.

    Raises:
        NotConvertibleError: skl2onnx has no form for it; the message is its own.
    """
    register_tree_converters()
    register_linear_converters()
    register_imputer_converter()
    plain, null_words = _without_string_imputers(estimator)
    inputs, columns = _inputs(plain, signature, FloatTensorType if single else DoubleTensorType)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = _skl2onnx(plain, inputs)
    except NotConvertibleError:
        raise
    except Exception as error:  # a converter meets an estimator it does not expect: any error means "cannot"
        raise NotConvertibleError(f"skl2onnx: {_first_line(error)}") from error
    _name_inputs(graph.graph, [name for name, _ in inputs])
    _state_tree_opset(graph)
    argmax = isinstance(_last(plain), (*EXACT_CLASSIFIERS, *ARGMAX_LINEAR))
    return Converted(graph, columns, argmax, hasattr(estimator, "predict_proba"), null_words, single)


def _skl2onnx(estimator: Any, inputs: list[tuple[str, Any]]) -> onnx.ModelProto:
    if is_classifier(estimator):
        with contextlib.suppress(NameError):  # of a classifier without the option: it has no zipmap to leave out
            options = {id(estimator): {"zipmap": False}}
            return convert_sklearn(estimator, initial_types=inputs, target_opset=_TARGET, options=options)
    return convert_sklearn(estimator, initial_types=inputs, target_opset=_TARGET)


def _inputs(estimator: Any, signature: Signature, number: Any) -> tuple[list[tuple[str, Any]], dict[str, str]]:
    names = [column.name for column in signature.columns]
    if not signature.string_columns and not _selects_columns(estimator):
        return [(MATRIX_INPUT, number([None, len(names)]))], {}
    kinds = {column.name: StringTensorType if column.kind == "string" else number for column in signature.columns}
    return [(name, kinds[name]([None, 1])) for name in names], {name: name for name in names}


def _name_inputs(graph: onnx.GraphProto, names: list[str]) -> None:
    """Gives the inputs the columns' own names again: skl2onnx writes `petal width (cm)` as an identifier."""
    own = {one.name: name for one, name in zip(graph.input, names, strict=True) if one.name != name}
    for node in graph.node if own else ():
        node.input[:] = [own.get(name, name) for name in node.input]
    for one in graph.input:
        one.name = own.get(one.name, one.name)


def _selects_columns(estimator: Any) -> bool:
    return any(isinstance(part, ColumnTransformer) for part in _parts(estimator))


def _parts(estimator: Any) -> list[Any]:
    nested = estimator.get_params(deep=True).values() if hasattr(estimator, "get_params") else ()
    return [estimator, *nested]


def _last(estimator: Any) -> Any:
    return _last(estimator.steps[-1][1]) if isinstance(estimator, Pipeline) else estimator


def _without_string_imputers(estimator: Any) -> tuple[Any, tuple[str, ...]]:
    """The estimator without its imputers of strings, and the words these put in.

    A null string is a code of its own in a bundle, so the graph needs no imputer (skl2onnx has none for null).
    """
    words: list[str] = []
    return _strip(estimator, words), tuple(dict.fromkeys(words))


def _strip(part: Any, words: list[str]) -> Any:
    if isinstance(part, SimpleImputer) and getattr(part, "statistics_", np.zeros(0)).dtype == object:
        words += [str(word) for word in part.statistics_]
        return "passthrough"
    if isinstance(part, Pipeline):
        return _strip_pipeline(part, words)
    if isinstance(part, ColumnTransformer):
        stripped = copy.copy(part)
        stripped.transformers_ = [(name, _strip(each, words), columns) for name, each, columns in part.transformers_]
        return stripped
    if isinstance(part, FeatureUnion):
        stripped = copy.copy(part)
        stripped.transformer_list = [(name, _strip(each, words)) for name, each in part.transformer_list]
        return stripped
    return part


def _strip_pipeline(part: Pipeline, words: list[str]) -> Any:
    steps = [(name, _strip(step, words)) for name, step in part.steps]
    kept = [(name, step) for name, step in steps if not (isinstance(step, str) and step == "passthrough")]
    if not kept:
        return "passthrough"
    stripped = copy.copy(part)
    stripped.steps = kept
    return stripped


def _state_tree_opset(graph: onnx.ModelProto) -> None:
    if any(node.op_type == "TreeEnsemble" for node in graph.graph.node):
        for opset in graph.opset_import:
            if opset.domain == ML_DOMAIN:
                opset.version = TREE_OPSET


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
