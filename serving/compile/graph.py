"""Graph surgery: one matrix of numbers and one of string codes in place of a tensor per column.

What a call costs in onnxruntime is mostly its nodes and inputs: seven named inputs take ten times one matrix.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from serving.compile.convert import MATRIX_INPUT, Converted
from serving.compile.errors import NotConvertibleError
from serving.compile.strings import StringTables, fold_strings
from serving.compile.writer import BINARY_PREFIX
from serving.signature import Signature

CODES_INPUT: Final = "codes"
NULL_CATEGORY: Final = "\x1aunderstudy: null"
_SINGLE: Final = "numbers_single"


@dataclass
class _Draft:
    """The graph under work: nodes in order, constants by name."""

    nodes: list[onnx.NodeProto]
    constants: dict[str, onnx.TensorProto]
    prefix: list[onnx.NodeProto] = field(default_factory=list)

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        self.constants[name] = numpy_helper.from_array(values, name)
        return name


@dataclass(frozen=True)
class Compiled:
    """A graph in the form of `engines.onnx`, and per string column, in signature order, its vocabulary."""

    model: onnx.ModelProto
    vocabulary: list[list[str]] | None


def assemble(converted: Converted, signature: Signature, null_words: Mapping[str, str | None]) -> Compiled:
    """Rewrites the converted graph.

    A null string gets the answer of its column's word in `null_words`; where there is none, that of an unseen word.

    Raises:
        NotConvertibleError: A string reaches an operator that is not a finite look-up.
    """
    graph = converted.graph.graph
    draft = _Draft(list(graph.node), {one.name: one for one in graph.initializer})
    strings = [column.name for column in signature.string_columns]
    tables = fold_strings(converted.graph, strings)
    _put_tables(draft, tables, strings, null_words)
    if converted.columns:
        _put_matrix(draft, [column.name for column in signature.number_columns])
    if converted.single:
        _narrow(draft)
    outputs = _outputs(draft, [one.name for one in graph.output], converted)
    nodes = _needed(draft.prefix + draft.nodes, outputs)
    model = _model(nodes, draft.constants, outputs, converted.graph.opset_import)
    _state_inputs(model, len(signature.number_columns), len(strings))
    vocabulary = [_callers_words(tables.words.get(name, []), null_words.get(name), converted) for name in strings]
    return Compiled(model, vocabulary if strings else None)


def _callers_words(words: list[str], null_word: str | None, converted: Converted) -> list[str]:
    """The words as callers send them: an encoder that met null in training writes it as a word, which no caller means."""
    if null_word is None or null_word in converted.null_words:
        return words
    return [NULL_CATEGORY if word == null_word else word for word in words]


def _put_tables(
    draft: _Draft, tables: StringTables, strings: Sequence[str], null_words: Mapping[str, str | None]
) -> None:
    """Gather(table, code of the column) in place of every tensor that depends on one string column only."""
    replaced = set(tables.by_tensor)
    draft.nodes = [node for node in draft.nodes if not replaced & set(node.output)]
    for name, (column, rows) in tables.by_tensor.items():
        index = strings.index(column)
        code = f"{CODES_INPUT}_{index}"
        if not any(code in node.output for node in draft.prefix):
            position = draft.constant(f"{code}_position", np.array(index, np.int64))
            draft.prefix.append(helper.make_node("Gather", [CODES_INPUT, position], [code], axis=0))
        table = draft.constant(f"table_{name}", tables.with_null(column, rows, null_words.get(column)))
        draft.prefix.append(helper.make_node("Gather", [table, code], [name], axis=0))


def _put_matrix(draft: _Draft, numbers: Sequence[str]) -> None:
    """Takes columns out of `numbers`, many at a time where they are concatenated anyway."""
    position = {name: index for index, name in enumerate(numbers)}
    kept = []
    for node in draft.nodes:
        if node.op_type == "Concat" and len(node.input) and all(name in position for name in node.input):
            indices = [position[name] for name in node.input]
            kept.append(_pick(draft, indices, node.output[0], everything=len(numbers)))
        else:
            kept.append(node)
    draft.nodes = kept
    used = {name for node in kept for name in node.input}
    draft.prefix += [_pick(draft, [position[name]], name, everything=0) for name in numbers if name in used]


def _narrow(draft: _Draft) -> None:
    """Reads the numbers as float32, for operators that onnxruntime has in no other type."""
    for node in [*draft.prefix, *draft.nodes]:
        for index, name in enumerate(node.input):
            if name == MATRIX_INPUT:
                node.input[index] = _SINGLE
    draft.prefix.insert(0, helper.make_node("Cast", [MATRIX_INPUT], [_SINGLE], to=TensorProto.FLOAT))


def _pick(draft: _Draft, indices: list[int], output: str, *, everything: int) -> onnx.NodeProto:
    if indices == list(range(everything)):
        return helper.make_node("Identity", [MATRIX_INPUT], [output])
    name = draft.constant(f"columns_of_{output}", np.array(indices, np.int64))
    return helper.make_node("Gather", [MATRIX_INPUT, name], [output], axis=1)


def _outputs(draft: _Draft, names: Sequence[str], converted: Converted) -> dict[str, str]:
    """Output name of the bundle's form to the tensor it is."""
    if len(names) == 1:
        return {"values": names[0]}
    label, probability = names
    if not converted.has_probabilities:
        return {"labels": label}
    if not converted.labels_by_argmax:
        return {"labels": label, "probabilities": probability}
    return {"probabilities": _second_of_pair(draft, probability)}


def _second_of_pair(draft: _Draft, name: str) -> str:
    """Of a pair (1 - p, p) only p: the engine knows the rest."""
    producer = {output: node for node in draft.nodes for output in node.output}
    node = producer[name]
    while node.op_type == "Identity" and node.input[0] in producer:
        node = producer[node.input[0]]
    return str(node.input[1]) if node.output[0].startswith(BINARY_PREFIX) else name


def _needed(nodes: Sequence[onnx.NodeProto], outputs: dict[str, str]) -> list[onnx.NodeProto]:
    """The nodes the outputs depend on, sorted so that each comes after what it reads."""
    producer = {name: node for node in nodes for name in node.output}
    order: list[onnx.NodeProto] = []
    seen: set[int] = set()
    stack: list[tuple[onnx.NodeProto, bool]] = [(producer[name], False) for name in outputs.values()]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack += [(producer[name], False) for name in node.input if name in producer]
    return order


def _model(
    nodes: list[onnx.NodeProto],
    constants: dict[str, onnx.TensorProto],
    outputs: dict[str, str],
    opsets: Iterable[onnx.OperatorSetIdProto],
) -> onnx.ModelProto:
    given = outputs.items()
    named = [*nodes, *(helper.make_node("Identity", [tensor], [name]) for name, tensor in given if name != tensor)]
    used = {name for node in named for name in node.input}
    graph = helper.make_graph(
        named,
        "understudy",
        [],
        # Without a type: onnxruntime infers it, and a wrong one stated by a converter would be refused.
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [constant for name, constant in constants.items() if name in used],
    )
    versions: dict[str, int] = {}
    for opset in opsets:
        versions[opset.domain] = max(opset.version, versions.get(opset.domain, 0))
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in versions.items()],
        ir_version=10,
    )


def _state_inputs(model: onnx.ModelProto, numbers: int, strings: int) -> None:
    used = {name for node in model.graph.node for name in node.input}
    known = used - {name for node in model.graph.node for name in node.output} - {""}
    known -= {constant.name for constant in model.graph.initializer}
    if known - {MATRIX_INPUT, CODES_INPUT}:
        raise NotConvertibleError(f"the graph reads {sorted(known)} in a way that cannot be one matrix per type")
    inputs = {
        MATRIX_INPUT: helper.make_tensor_value_info(MATRIX_INPUT, TensorProto.DOUBLE, ["rows", numbers]),
        CODES_INPUT: helper.make_tensor_value_info(CODES_INPUT, TensorProto.INT64, [strings, "rows"]),
    }
    model.graph.input.extend(inputs[name] for name in sorted(known, reverse=True))
