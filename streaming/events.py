"""The events: what is recorded of every prediction, label and decision. Schema version 1.

One prediction event per row and model. Times are UTC. `event_time` is when it happened for the model's
world (the event clock), the time inside `event_id` is when we received it (the receive clock).
The JSON Schemas under streaming/schemas/ are generated from these classes (`scripts/check` compares).
"""

from datetime import datetime
from typing import Any, Literal

import msgspec

SCHEMA_VERSION = 1

Role = Literal["production", "shadow", "direct"]
Source = Literal["http", "batch", "replay", "simulated"]
Label = str | int | float | bool


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the event this one was derived from stands in its log. Its own place is the reader's to know."""

    partition: str
    sequence: int


class PredictionEvent(
    msgspec.Struct, frozen=True, tag="prediction", tag_field="type", omit_defaults=True, kw_only=True
):
    """One model's answer to one row, or its failure to answer.

    Attributes:
        event_time: When the row happened, UTC; in JSON `@timestamp`.
        recorded_at: Our clock when the answer was known, UTC.
        event_id: UUIDv7; deterministic for derived events.
        request_id: The caller's `x-request-id` or made; never trusted to be unique.
        row: Position of the row in its request, from 0.
        prediction: The answer as a keyword: the class label, or the number's text.
        prediction_value: The answer as a double where it is a number.
        probabilities: Class (as text) to probability; None for regressors.
        score: Probability of the last class (binary) or of the winning class; None for regressors.
        duration_seconds: Receive to answer known, of the whole batch the row was in.
        batch_rows: Rows the model answered in that one call.
        features: Column to value; on production and direct events only. A msgspec-encodable object when
            written, a dict when read.
        origin: Of shadow and replay events: where the original stands.
        origin_event_id: Of shadow and replay events: the original's id; the only key that pairs answers.
    """

    event_time: datetime = msgspec.field(name="@timestamp")
    recorded_at: datetime
    event_id: str
    request_id: str
    model_name: str
    model_version: str
    role: Role
    row: int = 0
    schema_version: int = msgspec.field(default_factory=lambda: SCHEMA_VERSION)
    source: Source = "http"
    outcome: Literal["ok", "error"] = "ok"
    error_type: str | None = None
    prediction: str | None = None
    prediction_value: float | None = None
    probabilities: dict[str, float] | None = None
    score: float | None = None
    duration_seconds: float | None = None
    batch_rows: int = 1
    features: Any = None
    origin: Origin | None = None
    origin_event_id: str | None = None


class LabelEvent(msgspec.Struct, frozen=True, tag="label", tag_field="type", omit_defaults=True, kw_only=True):
    """The truth about one row, by the id of its prediction event or by request id and row.

    Attributes:
        label_id: UUIDv7 of this label event itself.
        event_id: The prediction event labelled; when None, `request_id` and `row` name it.
        label: In the type of the model's classes, or a number for regressors.
        labelled_at: When the truth was known, UTC; of two labels the later `labelled_at` wins.
    """

    event_time: datetime = msgspec.field(name="@timestamp")
    recorded_at: datetime
    label_id: str
    label: Label
    labelled_at: datetime
    model_name: str | None = None
    event_id: str | None = None
    request_id: str | None = None
    row: int = 0
    schema_version: int = msgspec.field(default_factory=lambda: SCHEMA_VERSION)
    source: Source = "http"


ControlKind = Literal[
    "alarm",
    "retrain_requested",
    "gate_decision",
    "promoted",
    "rolled_back",
    "paused",
    "resumed",
    "pinned",
    "shadow_started",
]


class ControlEvent(msgspec.Struct, frozen=True, tag="control", tag_field="type", omit_defaults=True, kw_only=True):
    """A decision or a change of roles, with the evidence that led to it. Never expires.

    Attributes:
        control_id: UUIDv7 of this event.
        kind: What happened.
        evidence: Enough counts to recompute the decision without the predictions.
    """

    event_time: datetime = msgspec.field(name="@timestamp")
    recorded_at: datetime
    control_id: str
    kind: ControlKind
    model_name: str
    model_version: str | None = None
    schema_version: int = msgspec.field(default_factory=lambda: SCHEMA_VERSION)
    source: Source | Literal["external", "operator"] = "operator"
    evidence: dict[str, Any] = {}


Event = PredictionEvent | LabelEvent | ControlEvent


def id_of(event: Event) -> str:
    """The id under which an event is stored once."""
    match event:
        case PredictionEvent():
            return event.event_id
        case LabelEvent():
            return event.label_id
        case ControlEvent():
            return event.control_id
