"""Event ids: UUIDv7 for what the API records, deterministic for what is derived from it.

Only the API makes new ids. A derived event (shadow, replay) takes the 48-bit time of its origin and a
hash of what makes it distinct, so that scoring the same origin twice writes the same document.
Layout: RFC 9562, section 5.7.
"""

import hashlib
import os
import time
from datetime import UTC, datetime
from random import Random

_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62
_RANDOM_74 = (1 << 74) - 1
_LOW_62 = (1 << 62) - 1

# Its own generator, seeded by the system: whoever seeds the shared one (a model, a test) must not repeat our ids.
_random = Random()  # noqa: S311 unique, not secret
os.register_at_fork(after_in_child=_random.seed)


def _uuid(unix_milliseconds: int, random_74: int) -> str:
    number = unix_milliseconds << 80 | _VERSION_7 | (random_74 >> 62) << 64 | _VARIANT | random_74 & _LOW_62
    return _dashed(f"{number:032x}")


def new_event_ids(count: int) -> list[str]:
    """Makes `count` UUIDv7 of our clock, ascending in the order given."""
    high = time.time_ns() // 1_000_000 << 16 | 0x7000 | _random.getrandbits(12)
    low = _VARIANT | _random.getrandbits(61)  # 61 bits leave room to count up without touching the variant
    if count == 1:  # the usual case, at half the time
        return [_dashed(f"{high << 64 | low:032x}")]
    start = _dashed(f"{high << 64:032x}")[:19]
    return [f"{start}{text[:4]}-{text[4:]}" for text in (f"{low + step:016x}" for step in range(count))]


def _dashed(text: str) -> str:
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def derived_event_id(origin_event_id: str, *parts: str) -> str:
    """Id of an event derived from `origin_event_id`, the same for the same parts, forever.

    Args:
        origin_event_id: The event scored again.
        parts: model name, model version, source and run id, in this order.
    """
    digest = hashlib.sha256("\x1f".join((origin_event_id, *parts)).encode()).digest()
    return _uuid(unix_milliseconds(origin_event_id), int.from_bytes(digest[:10]) & _RANDOM_74)


def unix_milliseconds(event_id: str) -> int:
    """Receive time inside an event id, in milliseconds since 1970 (UTC).

    >>> unix_milliseconds("0190163d-8694-739b-aea5-966c26f8ad91")
    1718364767892
    """
    return int(event_id[:8] + event_id[9:13], 16)


def received_at(event_id: str) -> datetime:
    """Receive time inside an event id, in UTC."""
    return datetime.fromtimestamp(unix_milliseconds(event_id) / 1000, tz=UTC)


def sample_position(event_id: str) -> float:
    """Where an event falls in [0, 1), evenly and the same everywhere: an event is sampled when it is below the fraction.

    >>> 0.0 <= sample_position("0190163d-8694-739b-aea5-966c26f8ad91") < 1.0
    True
    """
    return int.from_bytes(hashlib.sha256(event_id.encode()).digest()[:8]) / 2**64
