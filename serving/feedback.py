"""Labels: the truth about rows answered before, checked against the model's classes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from serving.bundle import Bundle
from serving.catalog import Catalog
from serving.errors import FieldProblem, InvalidRowsError, TooLargeError
from serving.protocol.json_body import MAX_DEPTH, NonFinite, parse
from serving.request import AHEAD
from serving.row_codec import BODY, Location
from serving.rows import LabelKind, Value
from serving.signature import got
from streaming.codec import encode
from streaming.events import LabelEvent, Source
from streaming.ids import new_event_ids

_MOST_PROBLEMS = 200
_EARLIEST = datetime(2, 1, 1, tzinfo=UTC)
"""Closer to the beginning of time a zone would lead beyond it."""
_TYPES: Mapping[str, Any] = {
    "label": str | int | float | bool,
    "event_id": UUID | None,
    "request_id": str | None,
    "row": Annotated[int, msgspec.Meta(ge=0, lt=2**31)],
    "labelled_at": datetime | None,
    "model_name": str | None,
}
_EXPECTED: Mapping[str, str] = {
    "label": "expected a class or a number",
    "event_id": "expected an event id, as in an answer's x-event-id",
    "request_id": "expected a string, as in an answer's x-request-id",
    "row": "expected a row number >= 0",
    "labelled_at": "expected an ISO 8601 date and time such as 2013-03-01T06:15:00Z",
    "model_name": "expected a string, the name of a model served here",
}
_LABEL_TYPES: Mapping[LabelKind, type] = {"boolean": bool, "integer": int, "string": str}
_LABELS: Mapping[LabelKind, str] = {"boolean": "true or false", "integer": "an integer", "string": "a string"}


@dataclass(frozen=True, slots=True)
class Feedback:
    """One label, well formed; `loc` is where it stands in the body. Its row is named by id, or request id and row."""

    loc: Location
    label: Value
    event_id: str | None = None
    request_id: str | None = None
    row: int = 0
    labelled_at: datetime | None = None
    model_name: str | None = None


def decode_feedback(body: bytes, *, now: datetime, max_rows: int, max_depth: int = MAX_DEPTH) -> list[Feedback]:
    """One label object, or a list of them.

    Raises:
        MalformedBodyError, InvalidRowsError, TooLargeError: Say which field and why.
    """
    parsed = parse(body, max_depth=max_depth)
    items = parsed if isinstance(parsed, list) else [parsed]
    locs = [(*BODY, index) for index in range(len(items))] if isinstance(parsed, list) else [BODY]
    if not items:
        raise InvalidRowsError([FieldProblem(BODY, "the list has no label: send at least one", "too_short")])
    if len(items) > max_rows:
        raise TooLargeError(
            f"{len(items)} labels are more than MAX_BATCH_ROWS ({max_rows}): send them in several requests"
        )
    problems = [problem for item, loc in zip(items, locs, strict=True) for problem in _problems(item, loc, now)]
    if problems:
        raise InvalidRowsError(problems[:_MOST_PROBLEMS])
    return [_feedback(item, loc) for item, loc in zip(items, locs, strict=True)]


def _feedback(item: Mapping[str, Any], loc: Location) -> Feedback:
    fields = {name: msgspec.convert(value, _TYPES[name]) for name, value in item.items()}
    if fields.get("event_id") is not None:
        fields["event_id"] = str(fields["event_id"])
    return Feedback(loc, **fields)


def _problems(item: Any, loc: Location, now: datetime) -> Iterator[FieldProblem]:
    if not isinstance(item, dict):
        yield FieldProblem(loc, f"expected an object with the fields {', '.join(_TYPES)}, got {got(item)}", "label")
        return
    for name, value in item.items():
        problem = _field_problem(name, value, now)
        if problem is not None:
            yield FieldProblem((*loc, name[:80]), problem, "label")
    if "label" not in item:
        yield FieldProblem((*loc, "label"), "this field is required: add it", "missing")
    if item.get("event_id") is None and item.get("request_id") is None:
        text = "name the row: event_id (the answer's x-event-id), or request_id and row"
        yield FieldProblem((*loc, "event_id"), text, "missing")


def _field_problem(name: str, value: Any, now: datetime) -> str | None:
    if name not in _TYPES:
        return f"a label has no such field: leave it out (it has {', '.join(_TYPES)})"
    if isinstance(value, NonFinite):
        return f"{value.text} is not a JSON number"
    try:
        converted = msgspec.convert(value, _TYPES[name])
    except msgspec.ValidationError:
        return f"{_EXPECTED[name]}, got {got(value)}"
    return _time_problem(converted, now) if isinstance(converted, datetime) else None


def _time_problem(moment: datetime, now: datetime) -> str | None:
    if moment.tzinfo is None:
        return "has no time zone: end it with Z for UTC"
    if moment.replace(tzinfo=UTC) < _EARLIEST:
        return "is before the year 2: send when the truth was known"
    return "is more than 60 s ahead of the server's clock" if moment > now + AHEAD else None


def label_events(
    labels: Sequence[Feedback], catalog: Catalog, *, now: datetime, source: Source = "http"
) -> list[bytes]:
    """Checks labels against their models and encodes them.

    Raises:
        InvalidRowsError: A label no class of its model has; names the classes.
        UnknownModelError, NotReadyError: The model named is not served here.
    """
    problems = []
    events = []
    for label, label_id in zip(labels, new_event_ids(len(labels)), strict=True):
        bundle = catalog.production(label.model_name).bundle
        value, problem = _in_class_type(label.label, bundle)
        if problem is not None:
            problems.append(FieldProblem((*label.loc, "label"), problem, "label"))
            continue
        labelled_at = (label.labelled_at or now).astimezone(UTC)
        event = LabelEvent(
            event_time=labelled_at,
            recorded_at=now,
            label_id=label_id,
            label=value,
            labelled_at=labelled_at,
            model_name=bundle.model_name,
            event_id=label.event_id,
            request_id=label.request_id,
            row=label.row,
            source=source,
        )
        events.append(encode(event))
    if problems:
        raise InvalidRowsError(problems[:_MOST_PROBLEMS])
    return events


def _in_class_type(label: Value, bundle: Bundle) -> tuple[Value, str | None]:
    if bundle.label_kind is not None:
        return _in_label_kind(label, bundle.label_kind, bundle.model_name)
    if bundle.classes is None:
        if isinstance(label, bool | str):
            return label, f"got {label!r}; {bundle.model_name} is a regressor: send a number"
        return float(label), None
    known: Mapping[str, Value] = {str(one): one for one in bundle.classes}
    exact = [one for one in bundle.classes if type(one) is type(label) and one == label]
    if exact:
        return exact[0], None
    found = known.get(str(label)) if not isinstance(label, float) else _integral(label, known)
    if found is None:
        return (
            label,
            f"{label!r} is no class of {bundle.model_name}; its classes: {', '.join(map(repr, bundle.classes))}",
        )
    return found, None


def _in_label_kind(label: Value, kind: LabelKind, model_name: str) -> tuple[Value, str | None]:
    """A label of a model whose classes nobody listed: any of the type that it answers with."""
    if kind == "integer" and isinstance(label, float) and label.is_integer():
        return int(label), None
    if type(label) is _LABEL_TYPES[kind]:
        return label, None
    return label, f"got {got(label)}; the labels of {model_name} are {kind}s: send {_LABELS[kind]}"


def _integral(label: float, known: Mapping[str, Value]) -> Value | None:
    return known.get(str(int(label))) if label.is_integer() else known.get(str(label))
