"""Open Inference Protocol V2: an inference request to rows, answers to its response. Pure.

Inputs are one tensor per column ([rows] or [rows, 1]), or one matrix [rows, columns] under any other name with
its columns in the signature's order. In tensors NaN is null, and 0 and 1 are taken for a boolean column.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from serving.errors import FieldProblem, InvalidRowsError, MalformedBodyError
from serving.protocol.json_body import MAX_DEPTH, parse
from serving.protocol.predict_body import require_count
from serving.protocol.v2_outputs import RequestedOutput, read_outputs
from serving.protocol.v2_tensors import BinaryPart, Tensor, read_tensor
from serving.row_codec import Location, RowCodec
from serving.signature import Column

INPUTS: Location = ("inputs",)


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A decoded request.

    Attributes:
        request_id: The caller's `id`, to be echoed; None when there was none.
        outputs: What was asked for; everything the model has when nothing was named.
    """

    request_id: str | None
    rows: list[msgspec.Struct]
    outputs: tuple[RequestedOutput, ...]


def decode_infer(
    body: bytes,
    header_length: bytes | None,
    codec: RowCodec,
    *,
    classifier: bool,
    max_rows: int,
    max_depth: int = MAX_DEPTH,
) -> InferRequest:
    """Rows and wishes of `POST /v2/models/NAME/infer`.

    Args:
        body: JSON, with the binary tensors behind it.
        header_length: The header `Inference-Header-Content-Length`, if it was sent.
        codec: Of the model that is asked.
        classifier: Whether the model has classes.
        max_rows: Most rows in one request.
        max_depth: Deepest nesting of the JSON.

    Raises:
        MalformedBodyError: Not a request of this protocol.
        InvalidRowsError: Tensors that do not fit the signature.
        TooLargeError: Too many rows, or nested too deep.
    """
    length = _header_length(header_length, len(body))
    request = parse(body[:length], max_depth=max_depth)
    if not isinstance(request, dict) or not isinstance(request.get("inputs"), list):
        raise MalformedBodyError('the body must be an object with "inputs": a list of tensors')
    request_id = request.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise MalformedBodyError('"id" must be a string')
    outputs = read_outputs(request, classifier=classifier)
    binary = BinaryPart(body[length:])
    tensors = [read_tensor(described, binary) for described in request["inputs"]]
    binary.require_empty()
    return InferRequest(request_id, _rows(tensors, codec, max_rows), outputs)


def _header_length(value: bytes | None, body_length: int) -> int:
    if value is None:
        return body_length
    if not value.isdigit() or len(value) > 18 or int(value) > body_length:
        raise MalformedBodyError(
            f"Inference-Header-Content-Length must be the length of the JSON part, at most {body_length} bytes"
        )
    return int(value)


def _rows(tensors: Sequence[Tensor], codec: RowCodec, max_rows: int) -> list[msgspec.Struct]:
    if not tensors:
        raise InvalidRowsError([FieldProblem(INPUTS, "there is no tensor: send at least one", "empty_batch")])
    first = tensors[0]
    require_count(range(first.row_count), INPUTS, max_rows)
    columns = codec.signature.columns
    if len(tensors) == 1 and (first.name not in codec.known or first.row_width > 1):
        return codec.from_table(None, _matrix(first, columns), loc=INPUTS)
    _require_columns(tensors)
    by_name = {column.name: column for column in columns}
    values = [_column_values(by_name.get(tensor.name), tensor.values) for tensor in tensors]
    names = [tensor.name for tensor in tensors]
    return codec.from_table(names, [list(row) for row in zip(*values, strict=True)], loc=INPUTS)


def _matrix(tensor: Tensor, columns: Sequence[Column]) -> list[list[Any]]:
    width = tensor.row_width
    if width != len(columns):
        raise InvalidRowsError(
            [
                FieldProblem(
                    (*INPUTS, tensor.name),
                    f"no column has this name, and as a matrix it needs the shape [rows, {len(columns)}] "
                    f"(columns: {_few([column.name for column in columns])}), got {list(tensor.shape)}",
                    "tensor_shape",
                )
            ]
        )
    values = [_column_values(column, tensor.values[index::width]) for index, column in enumerate(columns)]
    return [list(row) for row in zip(*values, strict=True)]


def _require_columns(tensors: Sequence[Tensor]) -> None:
    count = tensors[0].row_count
    problems = [
        FieldProblem(
            (*INPUTS, tensor.name),
            f"one tensor per column needs the shape [{count}] or [{count}, 1], got {list(tensor.shape)}",
            "tensor_shape",
        )
        for tensor in tensors
        if tensor.row_count != count or tensor.row_width != 1
    ]
    if problems:
        raise InvalidRowsError(problems[:20])


def _column_values(column: Column | None, values: Sequence[Any]) -> Sequence[Any]:
    """A tensor's values as JSON would have sent them: tensors have no null, and often no booleans."""
    if column is None or column.kind == "string":
        return values
    if column.kind == "boolean":
        return [bool(value) if type(value) in {int, float} and value in {0, 1} else value for value in values]
    if column.takes_null:
        return [None if value != value else value for value in values]  # noqa: PLR0124 the quickest test for NaN
    return values


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
