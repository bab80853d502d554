"""Open Inference Protocol V2: the outputs of a model, as asked for and as answered. Pure.

predict (or label)               the prediction: class labels in their own type, or numbers
probabilities (or predict_proba) FP64 [rows, classes], of classifiers
parameters.classification = k    instead of a tensor: the k likeliest classes, BYTES "probability:index:label"
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from serving.errors import MalformedBodyError
from serving.protocol.v2_tensors import binary_of
from serving.rows import Answers, LabelKind, Value

_PREDICT = frozenset({"predict", "label"})
_PROBABILITIES = frozenset({"probabilities", "predict_proba"})
_LABEL_DATATYPES: Mapping[LabelKind, str] = {"boolean": "BOOL", "integer": "INT64", "string": "BYTES"}


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """One output: its name as the caller wrote it, how many classes of it (0: the tensor), and in which form.

    `named` is false for those given because the caller named none.
    """

    name: str
    classification: int = 0
    binary: bool = False
    named: bool = True


@dataclass(frozen=True, slots=True)
class AnsweredBy:
    """Which model answered; `classes` and `label_kind` as in its `Bundle`."""

    model_name: str
    model_version: str
    classes: Sequence[Value] | None
    label_kind: LabelKind | None = None


def read_outputs(request: Mapping[str, Any], *, classifier: bool) -> tuple[RequestedOutput, ...]:
    """What the request asks for.

    Raises:
        MalformedBodyError: An output the model does not have.
    """
    parameters = request.get("parameters")
    binary = isinstance(parameters, dict) and parameters.get("binary_data_output") is True
    asked = request.get("outputs")
    if asked is None or asked == []:
        names = ("predict", "probabilities") if classifier else ("predict",)
        return tuple(RequestedOutput(name, 0, binary, named=False) for name in names)
    if not isinstance(asked, list):
        raise MalformedBodyError('"outputs" must be a list of {"name": …}')
    return tuple(_output(described, binary=binary, classifier=classifier) for described in asked)


def _output(described: Any, *, binary: bool, classifier: bool) -> RequestedOutput:
    name = described.get("name") if isinstance(described, dict) else None
    allowed = _PREDICT | _PROBABILITIES if classifier else _PREDICT
    if not isinstance(name, str) or name not in allowed:
        shown = repr(name)[:80]
        raise MalformedBodyError(f"there is no output {shown}: this model has {', '.join(sorted(allowed))}")
    parameters = described.get("parameters")
    if not isinstance(parameters, dict):
        return RequestedOutput(name, 0, binary)
    if "shared_memory_region" in parameters:
        raise MalformedBodyError(f"output {name!r}: shared memory is not supported")
    wished = parameters.get("binary_data", binary)
    classes = parameters.get("classification", 0)
    if type(classes) is not int or classes < 0 or (classes and not classifier):
        raise MalformedBodyError(f"output {name!r}: classification must be a number of classes, of a classifier")
    return RequestedOutput(name, classes, wished is True)


def encode_infer(
    answers: Answers,
    outputs: Sequence[RequestedOutput],
    answered_by: AnsweredBy,
    *,
    request_id: str | None = None,
    event_ids: Sequence[str] = (),
) -> tuple[bytes, int | None]:
    """The response's body, and the length of its JSON part where binary tensors follow (for the header).

    Args:
        answers: Of all rows.
        outputs: As decoded from the request.
        answered_by: Which model answered.
        request_id: Echoed.
        event_ids: One per row, told as a parameter, comma-separated.

    Raises:
        MalformedBodyError: Probabilities were asked of a classifier that has none.
    """
    tensors = []
    binaries = []
    for output in _available(outputs, answers):
        datatype, shape, values = _values(output, answers, answered_by)
        tensor: dict[str, Any] = {"name": output.name, "datatype": datatype, "shape": shape}
        if output.binary:
            binaries.append(binary_of(datatype, values))
            tensor["parameters"] = {"binary_data_size": len(binaries[-1])}
        else:
            tensor["data"] = values
        tensors.append(tensor)
    header = _header(tensors, answered_by, request_id, event_ids)
    return (b"".join([header, *binaries]), len(header)) if binaries else (header, None)


def _available(outputs: Sequence[RequestedOutput], answers: Answers) -> list[RequestedOutput]:
    if answers.probabilities is not None:
        return list(outputs)
    lacking = [output for output in outputs if output.classification or output.name in _PROBABILITIES]
    for output in lacking:
        if output.named:
            raise MalformedBodyError(f"output {output.name!r}: this classifier gives no probabilities")
    return [output for output in outputs if output not in lacking]


def _header(
    tensors: list[dict[str, Any]], answered_by: AnsweredBy, request_id: str | None, event_ids: Sequence[str]
) -> bytes:
    response: dict[str, Any] = {
        "model_name": answered_by.model_name,
        "model_version": answered_by.model_version,
        "outputs": tensors,
    }
    if request_id is not None:
        response["id"] = request_id
    if event_ids:
        response["parameters"] = {"event_ids": ",".join(event_ids)}
    return msgspec.json.encode(response)


def prediction_datatype(classes: Sequence[Value] | None, label_kind: LabelKind | None = None) -> str:
    """The tensor type that holds every prediction."""
    if label_kind is not None:
        return _LABEL_DATATYPES[label_kind]
    if classes is None:
        return "FP64"
    kinds = {type(label) for label in classes}
    if kinds == {bool}:
        return "BOOL"
    if kinds == {int}:
        return "INT64" if all(-(2**63) <= int(label) < 2**63 for label in classes) else "BYTES"
    return "FP64" if kinds <= {int, float} else "BYTES"


def _values(output: RequestedOutput, answers: Answers, answered_by: AnsweredBy) -> tuple[str, list[int], list[Any]]:
    classes = answered_by.classes
    count = len(answers.predictions)
    probabilities = answers.probabilities or []
    if output.classification:
        most = min(output.classification, len(classes or ()))
        texts = [text for row in probabilities for text in _likeliest(row, classes or (), most)]
        return "BYTES", [count, most], texts
    if output.name in _PROBABILITIES:
        return "FP64", [count, len(classes or ())], [p for row in probabilities for p in row]
    datatype = prediction_datatype(classes, answered_by.label_kind)
    if datatype == "BYTES":
        return datatype, [count], [str(label) for label in answers.predictions]
    return datatype, [count], list(answers.predictions)


def _likeliest(row: Sequence[float], classes: Sequence[Value], most: int) -> list[str]:
    order = sorted(range(len(row)), key=lambda index: -row[index])[:most]
    return [f"{row[index]:f}:{index}:{classes[index]}" for index in order]
