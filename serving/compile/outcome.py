"""What a model answers with, where it cannot be looked into: found by its output schema and by asking it."""

from collections.abc import Sequence
from typing import Final

from serving.compile.errors import CompileError
from serving.compile.parity import Answer, original_answers
from serving.engines.original import OriginalModel, Predictor
from serving.rows import LabelKind, Rows
from serving.signature import Signature
from versioning.mlmodel import ModelSignature

_NUMBER: Final = "number"
_KINDS: Final[dict[str, str]] = {
    "string": "string",
    "boolean": "boolean",
    "long": "integer",
    "integer": "integer",
    "double": _NUMBER,
    "float": _NUMBER,
}
_TENSOR_KINDS: Final[dict[str, str]] = {
    "str": "string",
    "bool": "boolean",
    "int64": "integer",
    "int32": "integer",
    "float64": _NUMBER,
    "float32": _NUMBER,
}


def label_kind_of(
    model: Predictor, signature: Signature, logged: ModelSignature | None, rows: Rows
) -> LabelKind | None:
    """Strings, booleans and integers are labels, of a classifier whose classes nobody listed; None: a regressor.

    The logged output schema decides; where it is silent, the answers to the rows do.

    Raises:
        CompileError: The model has several outputs, or answers now with one type and now with another.
    """
    said = _said(logged)
    answers = original_answers(OriginalModel(model, signature, None, "any"), rows)
    seen = {_kind(answer) for answer in answers if answer is not None}
    if said is None and len(seen) > 1 and seen != {_NUMBER, "integer"}:
        raise CompileError(
            f"the model answers now with a {' and now with a '.join(sorted(seen))}: let it have one type"
        )
    found = said or (_NUMBER if _NUMBER in seen else next(iter(seen), _NUMBER))
    return None if found == _NUMBER else found  # type: ignore[return-value] # one of _KINDS' values


def _said(logged: ModelSignature | None) -> str | None:
    if logged is None:
        return None
    outputs: Sequence[object] = (*logged.output_columns, *logged.output_tensors)
    if len(outputs) > 1:
        raise CompileError(f"the model has {len(outputs)} outputs: only single-output models are served")
    if logged.output_columns:
        return _KINDS.get(logged.output_columns[0].type)
    return _TENSOR_KINDS.get(logged.output_tensors[0].dtype) if logged.output_tensors else None


def _kind(answer: Answer) -> str:
    return {bool: "boolean", int: "integer", str: "string"}.get(type(answer.prediction), _NUMBER)
