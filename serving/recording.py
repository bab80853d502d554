"""Answers to prediction events: what one call of a model leaves in the log. Pure."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from serving.catalog import ServedModel
from serving.rows import Answers
from streaming.codec import encode
from streaming.events import SCHEMA_VERSION, PredictionEvent, Role, Source


class Call(msgspec.Struct, eq=False):
    """One request on its way: what is asked, by whom, and since when.

    Attributes:
        rows: Decoded rows (`RowCodec.row_type`), at least one.
        event_time: When the rows happened, UTC.
        started: `perf_counter` seconds when the body had been read.
        event_ids: One per row, once answered.
        shares: Probabilities as JSON, one per row, once answered; for the event and the body alike.
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
    shares: Sequence[bytes] = ()
    raw: bytes | None = None


class Moment(msgspec.Struct, frozen=True):
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
    """Encodes the events of a call, one per row, from its own answers; keeps the shares for the body.

    The bytes are those of a `PredictionEvent`, put together from what is the same for every call of a version and
    what is not, in half the time that making and encoding the object takes. A test decodes them.
    """
    bundle, text = call.served.bundle, call.served.text
    call.shares = shares = text.shares(answers)
    shared = b'%b"@timestamp":%b,"recorded_at":%b,"request_id":%b,"duration_seconds":%b,"batch_rows":%d,"row":' % (
        _model_part(bundle.model_name, bundle.model_version, call.role, call.source),
        _json(call.event_time),
        _json(moment.recorded_at),
        _json(call.request_id),
        _json(moment.done_at - call.started),
        moment.batch_rows,
    )
    if call.raw is not None:
        head = b'%b0,"event_id":"%b"' % (shared, call.event_ids[0].encode())
        return [b"".join((head, text.recorded(answers, shares, 0), b',"features":', call.raw, b"}"))]
    return [
        b'%b%d,"event_id":"%b"%b,"features":%b}'
        % (shared, row, call.event_ids[row].encode(), text.recorded(answers, shares, row), _json(features))
        for row, features in enumerate(call.rows)
    ]


_json = msgspec.json.Encoder().encode


@lru_cache(maxsize=256)
def _model_part(model_name: str, model_version: str, role: Role, source: Source) -> bytes:
    constant = {"schema_version": SCHEMA_VERSION, "model_name": model_name, "model_version": model_version}
    return b'{"type":"prediction",%b,' % _json({**constant, "role": role, "source": source})[1:-1]


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
        for row, features in enumerate(call.rows)
    ]
