"""Events to bytes and back: compact JSON, one line each (no raw newline ever appears)."""

import msgspec

from streaming.errors import CorruptEventError
from streaming.events import SCHEMA_VERSION, Event

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
