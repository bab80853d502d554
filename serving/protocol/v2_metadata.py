"""Open Inference Protocol V2: what the server and a model say about themselves. Pure."""

from collections.abc import Sequence
from typing import Any

from serving.protocol.v2_outputs import prediction_datatype
from serving.rows import LabelKind, Value
from serving.signature import Column, Signature

_PLATFORMS = {"onnx": "onnxruntime_onnx"}


def server_metadata(version: str) -> dict[str, Any]:
    """`GET /v2`."""
    return {"name": "understudy", "version": version, "extensions": ["binary_tensor_data", "classification"]}


def model_metadata(
    name: str,
    versions: Sequence[str],
    signature: Signature,
    *,
    classes: Sequence[Value] | None,
    engine: str,
    label_kind: LabelKind | None = None,
) -> dict[str, Any]:
    """`GET /v2/models/NAME`: one input per column; a model trained without names has one matrix."""
    outputs = [{"name": "predict", "datatype": prediction_datatype(classes, label_kind), "shape": [-1]}]
    if classes is not None:
        outputs.append({"name": "probabilities", "datatype": "FP64", "shape": [-1, len(classes)]})
    return {
        "name": name,
        "versions": list(versions),
        "platform": _PLATFORMS.get(engine, "python"),
        "inputs": _inputs(signature),
        "outputs": outputs,
    }


def _inputs(signature: Signature) -> list[dict[str, Any]]:
    datatypes = {datatype_of(column) for column in signature.columns}
    if signature.positional and len(datatypes) == 1:
        return [{"name": "input-0", "datatype": datatypes.pop(), "shape": [-1, len(signature.columns)]}]
    return [{"name": column.name, "datatype": datatype_of(column), "shape": [-1, 1]} for column in signature.columns]


def datatype_of(column: Column) -> str:
    """The tensor type the model was logged with; any numeric type is taken."""
    match column.kind:
        case "string":
            return "BYTES"
        case "boolean":
            return "BOOL"
        case "integer":
            return "INT32" if column.dtype == "integer" else "INT64"
        case _:
            return "FP32" if column.dtype == "float" else "FP64"
