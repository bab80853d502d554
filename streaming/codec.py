"""Events to bytes and back: compact JSON, one line each (no raw newline ever appears)."""

import msgspec

from streaming.errors import CorruptEventError
from streaming.events import SCHEMA_VERSION, Event
from streaming.ids import unix_milliseconds

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode(event: Event) -> bytes:
    """Encodes one event; NaN becomes null."""
    return _encoder.encode(event)


def decode(value: bytes) -> Event:
    """Decodes one event.

    Raises:
        CorruptEventError: The bytes are not an event, or one of a newer schema than this code knows.
    """
    try:
        event = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptEventError(f"not an event: {error}") from error
    if event.schema_version > SCHEMA_VERSION:
        raise CorruptEventError(
            f"event schema {event.schema_version} is newer than {SCHEMA_VERSION}: upgrade this reader"
        )
    return event


class _Ids(msgspec.Struct):
    """The ids an event may bear. A label's `event_id` names the event it labels, not itself."""

    label_id: str | None = None
    control_id: str | None = None
    event_id: str | None = None


_ids_decoder: msgspec.json.Decoder[_Ids] = msgspec.json.Decoder(_Ids)


def received_milliseconds(value: bytes) -> int | None:
    """Receive time of an encoded event, milliseconds since 1970 (UTC); None where its id tells none."""
    try:
        ids = _ids_decoder.decode(value)
        own = ids.label_id or ids.control_id or ids.event_id
        return None if own is None else unix_milliseconds(own)
    except (msgspec.DecodeError, ValueError):
        return None
