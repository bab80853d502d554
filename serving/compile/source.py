"""What an MLmodel file and a fitted estimator say about the input columns."""

from typing import Any, Final

from serving.compile.errors import CompileError
from serving.signature import Column, Signature
from versioning.mlmodel import ColumnSpec, InputExample, MlModel, ModelSignature

_KINDS: Final = {
    "double": "float",
    "float": "float",
    "long": "integer",
    "integer": "integer",
    "boolean": "boolean",
    "string": "string",
    "object": "string",
}


def signature_of(model: MlModel, estimator: Any) -> Signature:
    """The logged signature; else the names the estimator was fitted with; else positions "0", "1", ….

    Raises:
        CompileError: A column's type is not served, or nothing says how many columns there are.
    """
    logged = model.signature
    if logged is not None and logged.columns and all(column.name is not None for column in logged.columns):
        return Signature(tuple(_column(column) for column in logged.columns))
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        return Signature(tuple(Column(str(name), "float", nullable=True) for name in names))
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


def _positional(logged: ModelSignature | None, estimator: Any) -> Signature:
    count, dtype = getattr(estimator, "n_features_in_", None), "double"
    if logged is not None and logged.tensors:
        count = count or logged.tensors[0].shape[-1]
        dtype = "float" if logged.tensors[0].dtype == "float32" else "double"
    elif logged is not None and logged.columns:
        count = len(logged.columns)
    if not count or count < 1:
        raise CompileError("nothing says which columns the model takes: log it with a signature")
    columns = tuple(Column(str(index), "float", nullable=True, dtype=dtype) for index in range(int(count)))
    return Signature(columns, positional=True)
