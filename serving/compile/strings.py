"""Strings out of the graph: what depends on one string column only is a table, looked up by the word's code.

skl2onnx feeds words through `OneHotEncoder` and `LabelEncoder`. A column's vocabulary is every word these know; all
other words are alike to the model. So each tensor that depends on one string column only is computed once for every
word of the vocabulary and for a word outside it.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from serving.compile.errors import NotConvertibleError

UNSEEN_WORD: Final = "\x1aunderstudy: a word no encoder knows"
MAX_WORDS: Final = 100_000
_LOOKUPS: Final = {"OneHotEncoder": ("cats_strings",), "LabelEncoder": ("keys_strings", "keys_tensor")}
_MOVES: Final = ("Gather", "ArrayFeatureExtractor")


@dataclass(frozen=True)
class StringTables:
    """Per column its words; per replaced tensor its column and its rows: the words in order, then unseen.

    A column in `refused` has no row for unseen words: the model refuses them.
    """

    words: dict[str, list[str]] = field(default_factory=dict)
    by_tensor: dict[str, tuple[str, NDArray[Any]]] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()

    def with_null(self, column: str, rows: NDArray[Any], null_word: str | None) -> NDArray[Any]:
        """The table by code: words, null (answers as `null_word`, or as unseen), unseen.

        Codes beyond the table make onnxruntime refuse the call, which is how refused words are refused.
        """
        words = self.words[column]
        known = rows[: len(words)]
        if null_word in words:
            null = words.index(null_word)
            return np.concatenate([known, rows[null : null + 1], rows[len(words) :]])
        return known if column in self.refused else np.concatenate([known, rows[-1:], rows[-1:]])


def fold_strings(model: onnx.ModelProto, columns: list[str]) -> StringTables:
    """Finds the tensors that are look-ups of one string column and computes their tables.

    Raises:
        NotConvertibleError: A string reaches an operator that is not a finite look-up, such as a text vectoriser.
    """
    if not columns:
        return StringTables()
    words = _trace(model, columns)
    sources = _sources(model)
    by_tensor: dict[str, tuple[str, NDArray[Any]]] = {}
    refused = set()
    for column, vocabulary in words.items():
        tensors = _boundary(model, sources, column)
        rows, complete = _evaluate(model, sources, column, (tensors, vocabulary))
        by_tensor |= {tensor: (column, table) for tensor, table in zip(tensors, rows, strict=True)}
        if not complete:
            refused.add(column)
    return StringTables(words, by_tensor, frozenset(refused))


def _trace(model: onnx.ModelProto, columns: list[str]) -> dict[str, list[str]]:
    """Follows strings to their look-ups, reads these columns straight, and collects each column's words."""
    constants = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    held: dict[str, list[str]] = {name: [name] for name in columns}
    words: dict[str, dict[str, None]] = {}
    for node in model.graph.node:
        strings = [name for name in node.input if name in held]
        if not strings:
            continue
        moved = _moved(node, held, constants)
        if moved is not None:
            held[node.output[0]] = moved
            continue
        (column, *others) = held[strings[0]]
        keys = _keys(node)
        if keys is None or others:
            raise NotConvertibleError(
                f"the strings of {column!r} reach {node.op_type}, which is no finite look-up of single words"
            )
        node.input[list(node.input).index(strings[0])] = column
        words.setdefault(column, {}).update(dict.fromkeys(keys))
    if any(len(known) > MAX_WORDS for known in words.values()):
        raise NotConvertibleError(f"a string column has more than {MAX_WORDS} words")
    return {column: list(known) for column, known in words.items()}


def _moved(node: onnx.NodeProto, held: dict[str, list[str]], constants: dict[str, NDArray[Any]]) -> list[str] | None:
    """The columns a node carries on unchanged; None where it does more than move them."""
    if node.op_type == "Concat" and all(name in held for name in node.input):
        return [column for name in node.input for column in held[name]]
    if node.op_type == "Identity":
        return held[node.input[0]]
    if node.op_type in _MOVES and node.input[0] in held and node.input[1] in constants:
        return [held[node.input[0]][int(index)] for index in constants[node.input[1]].ravel()]
    return None


def _keys(node: onnx.NodeProto) -> list[str] | None:
    for attribute in node.attribute:
        if attribute.name in _LOOKUPS.get(node.op_type, ()):
            words = attribute.strings or numpy_helper.to_array(attribute.t).ravel().tolist()
            return [word.decode() if isinstance(word, bytes) else str(word) for word in words] or None
    return None


def _sources(model: onnx.ModelProto) -> dict[str, frozenset[str]]:
    """Which graph inputs each tensor depends on."""
    sources = {one.name: frozenset({one.name}) for one in model.graph.input}
    for node in model.graph.node:
        union = frozenset[str]().union(*(sources.get(name, frozenset()) for name in node.input))
        sources |= dict.fromkeys(node.output, union)
    return sources


def _boundary(model: onnx.ModelProto, sources: dict[str, frozenset[str]], column: str) -> list[str]:
    """Tensors of this column alone that a wider computation reads."""
    own = frozenset({column})
    outputs = [one.name for one in model.graph.output if sources[one.name] == own]
    read = [
        name
        for node in model.graph.node
        if sources[node.output[0]] != own
        for name in node.input
        if sources.get(name) == own and name != column
    ]
    return list(dict.fromkeys(outputs + read))


def _evaluate(
    model: onnx.ModelProto, sources: dict[str, frozenset[str]], column: str, wanted: tuple[list[str], list[str]]
) -> tuple[list[NDArray[Any]], bool]:
    """The tensors' rows for the vocabulary and one unseen word; False where the model refuses the latter."""
    tensors, vocabulary = wanted
    if not tensors:
        return [], True
    session = _part(model, sources, column, tensors)
    rows = session.run(tensors, {column: np.array([[word] for word in vocabulary], dtype=object)})
    if any(len(table) != len(vocabulary) for table in rows):
        raise NotConvertibleError(f"what the model makes of {column!r} is not one row per row")
    try:
        unseen = session.run(tensors, {column: np.array([[UNSEEN_WORD]], dtype=object)})
    except (ort_errors.Fail, ort_errors.RuntimeException, ort_errors.InvalidArgument):
        return rows, False
    return [np.concatenate(pair) for pair in zip(rows, unseen, strict=True)], True


def _part(
    model: onnx.ModelProto, sources: dict[str, frozenset[str]], column: str, tensors: list[str]
) -> ort.InferenceSession:
    own: set[frozenset[str]] = {frozenset({column}), frozenset()}
    nodes = [node for node in model.graph.node if sources[node.output[0]] in own]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "lookup",
        [helper.make_tensor_value_info(column, TensorProto.STRING, [None, 1])],
        [helper.make_empty_tensor_value_info(name) for name in tensors],
        [one for one in model.graph.initializer if one.name in used],
    )
    part = helper.make_model(graph, opset_imports=model.opset_import, ir_version=10)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return ort.InferenceSession(part.SerializeToString(), options, providers=["CPUExecutionProvider"])
