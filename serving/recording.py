"""Answers to prediction events: what one call of a model leaves in the log. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from serving.catalog import ServedModel
from serving.rows import Answers, Value
from streaming.codec import encode
from streaming.events import PredictionEvent, Role, Source


@dataclass(slots=True, eq=False)
class Call:
    """One request on its way: what is asked, by whom, and since when.

    Attributes:
        rows: Decoded rows (`RowCodec.row_type`), at least one.
        event_time: When the rows happened, UTC.
        started: `perf_counter` seconds when the body had been read.
        event_ids: One per row, once answered.
        raw: The body itself where it is exactly one flat record: recorded as it stands, not encoded again.
    """

    served: ServedModel
    rows: Sequence[Any]
    request_id: str
    event_time: datetime
    started: float
    role: Role = "production"
    source: Source = "http"
    event_ids: Sequence[str] = ()
    raw: bytes | None = None

    @property
    def features(self) -> Sequence[Any]:
        """What the events record of each row."""
        return self.rows if self.raw is None else (msgspec.Raw(self.raw),)


@dataclass(frozen=True, slots=True)
class Moment:
    """When a batch was answered.

    Attributes:
        recorded_at: Our clock, UTC.
        done_at: The same in `perf_counter` seconds.
        batch_rows: Rows the model answered in this one call.
    """

    recorded_at: datetime
    done_at: float
    batch_rows: int


def answered_events(call: Call, answers: Answers, moment: Moment) -> list[bytes]:
    """Encodes the events of a call, one per row, from its own answers."""
    bundle = call.served.bundle
    texts = call.served.class_texts
    events = []
    for row, features in enumerate(call.features):
        prediction = answers.predictions[row]
        probabilities = None if answers.probabilities is None else answers.probabilities[row]
        event = PredictionEvent(
            event_time=call.event_time,
            recorded_at=moment.recorded_at,
            event_id=call.event_ids[row],
            request_id=call.request_id,
            model_name=bundle.model_name,
            model_version=bundle.model_version,
            role=call.role,
            row=row,
            source=call.source,
            prediction=texts.get(prediction) or str(prediction),
            prediction_value=number_of(prediction),
            probabilities=None if probabilities is None else dict(zip(texts.values(), probabilities, strict=True)),
            score=score_of(probabilities),
            duration_seconds=moment.done_at - call.started,
            batch_rows=moment.batch_rows,
            features=features,
        )
        events.append(encode(event))
    return events


def failed_events(call: Call, error_type: str, moment: Moment) -> list[bytes]:
    """Encodes the events of a call that the model could not answer."""
    bundle = call.served.bundle
    return [
        encode(
            PredictionEvent(
                event_time=call.event_time,
                recorded_at=moment.recorded_at,
                event_id=call.event_ids[row],
                request_id=call.request_id,
                model_name=bundle.model_name,
                model_version=bundle.model_version,
                role=call.role,
                row=row,
                source=call.source,
                outcome="error",
                error_type=error_type,
                duration_seconds=moment.done_at - call.started,
                batch_rows=moment.batch_rows,
                features=features,
            )
        )
        for row, features in enumerate(call.features)
    ]


def number_of(prediction: Value) -> float | None:
    """The prediction as a double, None for text."""
    return None if isinstance(prediction, str) else float(prediction)


def score_of(probabilities: Sequence[float] | None) -> float | None:
    """Probability of the last class for two classes, of the winning class for more."""
    if probabilities is None:
        return None
    return probabilities[1] if len(probabilities) == 2 else max(probabilities)
