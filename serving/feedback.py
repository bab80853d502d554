"""Labels: the truth about rows answered before, checked against the model's classes."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from serving.bundle import Bundle
from serving.catalog import Catalog
from serving.errors import FieldProblem, InvalidRowsError, MalformedBodyError, TooLargeError
from serving.rows import Value
from streaming.codec import encode
from streaming.events import LabelEvent, Source
from streaming.ids import new_event_ids

_FIELDS = ("event_id", "request_id", "row", "label", "labelled_at", "model_name")


class FeedbackBody(msgspec.Struct, forbid_unknown_fields=True):
    """One label. Names its row by `event_id`, or by `request_id` and `row`."""

    label: str | int | float | bool
    event_id: str | None = None
    request_id: str | None = None
    row: int = 0
    labelled_at: datetime | None = None
    model_name: str | None = None


def decode_feedback(body: bytes, *, max_rows: int) -> list[FeedbackBody]:
    """One label object, or a list of them.

    Raises:
        MalformedBodyError, InvalidRowsError, TooLargeError: Say which field and why.
    """
    try:
        parsed = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedBodyError(f"the body is not valid JSON: {error}") from None
    items = parsed if isinstance(parsed, list) else [parsed]
    if not items:
        raise InvalidRowsError([FieldProblem(("body",), "the list has no label: send at least one", "too_short")])
    if len(items) > max_rows:
        raise TooLargeError(f"{len(items)} labels in one request; MAX_BATCH_ROWS is {max_rows}")
    labels: list[FeedbackBody] = []
    problems: list[FieldProblem] = []
    for index, item in enumerate(items):
        loc = ("body", index) if isinstance(parsed, list) else ("body",)
        label, problem = _one(item, loc)
        labels += [label] if label else []
        problems += [problem] if problem else []
    if problems:
        raise InvalidRowsError(problems)
    return labels


def _one(item: Any, loc: tuple[str | int, ...]) -> tuple[FeedbackBody | None, FieldProblem | None]:
    try:
        label = msgspec.convert(item, FeedbackBody)
    except msgspec.ValidationError as error:
        return None, FieldProblem(loc, f"{error}; a label has the fields {', '.join(_FIELDS)}", "label")
    if label.event_id is None and label.request_id is None:
        text = "name the row: event_id (the answer's x-event-id), or request_id and row"
        return None, FieldProblem((*loc, "event_id"), text, "missing")
    if label.labelled_at is not None and label.labelled_at.tzinfo is None:
        return None, FieldProblem((*loc, "labelled_at"), "has no time zone: end it with Z for UTC", "timezone")
    return label, None


def label_events(
    labels: Sequence[FeedbackBody], catalog: Catalog, *, now: datetime, source: Source = "http"
) -> list[bytes]:
    """Checks labels against their models and encodes them.

    Raises:
        InvalidRowsError: A label no class of its model has; names the classes.
        UnknownModelError, NotReadyError: The model named is not served here.
    """
    problems = []
    events = []
    for index, (label, label_id) in enumerate(zip(labels, new_event_ids(len(labels)), strict=True)):
        bundle = catalog.production(label.model_name).bundle
        value, problem = _in_class_type(label.label, bundle)
        if problem is not None:
            loc = ("body", index, "label") if len(labels) > 1 else ("body", "label")
            problems.append(FieldProblem(loc, problem, "label"))
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
        raise InvalidRowsError(problems)
    return events


def _in_class_type(label: Value, bundle: Bundle) -> tuple[Value, str | None]:
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


def _integral(label: float, known: Mapping[str, Value]) -> Value | None:
    return known.get(str(int(label))) if label.is_integer() else known.get(str(label))
