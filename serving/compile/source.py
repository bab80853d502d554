"""What an MLmodel file and a fitted estimator say about the input columns."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from serving.compile.errors import CompileError
from serving.row_codec import RowCodec
from serving.signature import Column, Signature
from versioning.mlmodel import ColumnSpec, InputExample, MlModel, ModelSignature, TensorSpec

_KINDS: Final = {
    "double": "float",
    "float": "float",
    "long": "integer",
    "integer": "integer",
    "boolean": "boolean",
    "string": "string",
    "object": "string",
}
_TENSOR_TYPES: Final = {"float32": "float", "int64": "long", "int32": "integer", "bool": "boolean"}


def signature_of(model: MlModel, estimator: Any) -> Signature:
    """The logged signature; else the names the estimator was fitted with; else positions "0", "1", ….

    Raises:
        CompileError: A column's type or name is not served, or nothing says how many columns there are.
    """
    logged = model.signature
    if logged is not None and logged.columns:
        named = all(column.name is not None for column in logged.columns)
        columns = (column if named else replace(column, name=str(at)) for at, column in enumerate(logged.columns))
        return _servable(Signature(tuple(_column(column) for column in columns), positional=not named))
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        return _servable(Signature(tuple(Column(str(name), "float", nullable=True) for name in names)))
    return _positional(logged, estimator)


def example_rows(example: InputExample | None, signature: Signature) -> list[dict[str, Any]]:
    """The input example as mappings, where it fits the signature."""
    if example is None:
        return []
    names = [column.name for column in signature.columns]
    columns = names if example.columns is None else list(example.columns)
    return [dict(zip(columns, row, strict=False)) for row in example.rows if len(row) == len(columns)]


def _column(spec: ColumnSpec) -> Column:
    kind = _KINDS.get(spec.type)
    if kind is None:
        raise CompileError(
            f"column {spec.name!r} has the type {spec.type!r}, which is not served: "
            "log the model with double, long, boolean or string columns"
        )
    nullable = not spec.required or kind == "float"
    return Column(str(spec.name), kind, nullable=nullable, dtype=spec.type)  # type: ignore[arg-type] # one of _KINDS


def _servable(signature: Signature) -> Signature:
    """The same; raises CompileError where rows as JSON cannot carry a column's name."""
    try:
        RowCodec(signature)
    except ValueError as error:
        names = [column.name for column in signature.columns]
        odd = next((name for name in names if not name.isprintable() or set(name) & {'"', "\\"}), None)
        if odd is None:
            raise CompileError(str(error)) from error
        raise CompileError(
            f"column {odd!r} has a quote, a backslash or a control character in its name, which is not served: "
            "rename the column and log the model again"
        ) from error
    return signature


def _positional(logged: ModelSignature | None, estimator: Any) -> Signature:
    count, dtype = getattr(estimator, "n_features_in_", None), "double"
    if logged is not None and logged.tensors:
        tensor = _matrix(logged.tensors)
        count, dtype = count or tensor.shape[-1], _TENSOR_TYPES.get(tensor.dtype, "double")
    if not count or count < 1:
        raise CompileError("nothing says which columns the model takes: log it with a signature")
    columns = tuple(_column(ColumnSpec(str(index), dtype)) for index in range(int(count)))
    return Signature(columns, positional=True)


def _matrix(tensors: Sequence[TensorSpec]) -> TensorSpec:
    first = tensors[0]
    if len(tensors) > 1 or first.name is not None or len(first.shape) != 2:
        shown = ", ".join(f"{tensor.name or 'tensor'} {list(tensor.shape)}" for tensor in tensors[:5])
        raise CompileError(
            f"the model takes {shown}: only one matrix without a name, of the shape [-1, columns], is served; "
            "log it with such a tensor or with columns"
        )
    return first
