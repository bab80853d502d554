"""Which events a shadow answers, and the events that say what it answered. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from serving.protocol.answers import number_of, score_of
from serving.rows import Value
from streaming.events import SCHEMA_VERSION, Origin, PredictionEvent, Source
from streaming.ids import derived_event_id, sample_position
from streaming.log import LogRecord

GROUP_PREFIX = "shadow"


class _Asked(msgspec.Struct, frozen=True):
    """What a shadow needs of an event; of label and control events only `type` counts."""

    type: str = ""
    role: str = ""
    schema_version: int = SCHEMA_VERSION
    model_name: str | None = None
    model_version: str | None = None
    event_id: str | None = None
    request_id: str = ""
    row: int = 0
    source: str = "http"
    event_time: datetime | None = msgspec.field(name="@timestamp", default=None)
    features: msgspec.Raw = msgspec.Raw(b"null")


_decoder = msgspec.json.Decoder(_Asked)


@dataclass(frozen=True)
class Understudy:
    """Who answers: one version under one alias.

    Attributes:
        fraction: Share of the events it answers, chosen by event id.
    """

    model_name: str
    model_version: str
    alias: str
    fraction: float = 1.0

    @property
    def group(self) -> str:
        """Name of its reader; its own for each version, so that each starts where it should."""
        return f"{GROUP_PREFIX}-{self.alias}-{self.model_name}-{self.model_version}"


@dataclass(frozen=True)
class Question:
    """A production event to answer.

    Attributes:
        features: Its JSON object, as recorded.
    """

    origin: Origin
    event_id: str
    request_id: str
    row: int
    event_time: datetime
    source: Source
    features: bytes


@dataclass(frozen=True)
class Reply:
    """What the model said, or why it said nothing (`error_type`).

    Attributes:
        duration_seconds: Of the whole call.
        rows: Answered in that one call.
    """

    duration_seconds: float
    rows: int
    prediction: Value | None = None
    probabilities: Sequence[float] | None = None
    error_type: str | None = None


def questions(records: Sequence[LogRecord], who: Understudy) -> tuple[list[Question], int]:
    """The production events of other versions that `who` answers, and how many records were unreadable."""
    found = []
    unreadable = 0
    for record in records:
        try:
            asked = _decoder.decode(record.value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            unreadable += 1
            continue
        if asked.schema_version > SCHEMA_VERSION:
            unreadable += 1
        elif _is_for(asked, who):
            found.append(_question(record, asked))
    return found, unreadable


def _is_for(asked: _Asked, who: Understudy) -> bool:
    return (
        asked.type == "prediction"
        and asked.role == "production"
        and asked.model_name == who.model_name
        and asked.model_version != who.model_version
        and asked.event_id is not None
        and asked.event_time is not None
        and (who.fraction >= 1.0 or sample_position(asked.event_id) < who.fraction)
    )


def _question(record: LogRecord, asked: _Asked) -> Question:
    assert asked.event_id is not None
    assert asked.event_time is not None
    return Question(
        origin=Origin(record.partition, record.offset),
        event_id=asked.event_id,
        request_id=asked.request_id,
        row=asked.row,
        event_time=asked.event_time,
        source=asked.source,  # type: ignore[arg-type] # an event of ours has no other
        features=bytes(asked.features),
    )


def answer_event(
    question: Question, who: Understudy, reply: Reply, keys: Sequence[str], *, recorded_at: datetime
) -> PredictionEvent:
    """The shadow's event: the original's times and request, no features, an id that follows from the original's.

    Args:
        question: The production event.
        who: The version that answered.
        reply: What it answered.
        keys: Class names in the order of `reply.probabilities`; empty for regressors.
        recorded_at: Our clock, UTC.
    """
    probabilities = reply.probabilities
    return PredictionEvent(
        event_time=question.event_time,
        recorded_at=recorded_at,
        event_id=derived_event_id(question.event_id, who.model_name, who.model_version, question.source, ""),
        request_id=question.request_id,
        model_name=who.model_name,
        model_version=who.model_version,
        role="shadow",
        row=question.row,
        source=question.source,
        outcome="error" if reply.error_type else "ok",
        error_type=reply.error_type,
        prediction=None if reply.prediction is None else str(reply.prediction),
        prediction_value=None if reply.prediction is None else number_of(reply.prediction),
        probabilities=None if probabilities is None else dict(zip(keys, probabilities, strict=True)),
        score=score_of(probabilities),
        duration_seconds=reply.duration_seconds,
        batch_rows=reply.rows,
        origin=question.origin,
        origin_event_id=question.event_id,
    )
