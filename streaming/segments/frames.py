"""The record format, and what of some bytes is intact (pure).

A *frame* holds the events of one group, so that one checksum makes them all or none:

    magic 4 | crc32c 4 | flags and version 4 | count 4 | payload length 4 | first sequence 8 | payload

little-endian; the checksum covers everything after itself; the payload is the events joined by newlines
(which a lone event may therefore contain, though the codec never writes one).
Event sequence = offset, one per event. The last frame of a write bears the flag CLOSES: a reader of a
live segment goes no further than that, because a short write may still be cut back.
The magic begins with a byte that never occurs in UTF-8, so it is never found inside an event's JSON.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

import google_crc32c

from streaming.errors import EventTooLargeError

MAGIC = b"\xffUSL"
VERSION = 1
CLOSES = 1 << 8
_VERSION_MASK = 0xFF

_head = struct.Struct("<4sI")
_rest = struct.Struct("<IIIQ")
HEADER_BYTES = _head.size + _rest.size

_pack_head = _head.pack
_pack_rest = _rest.pack
_checksum = google_crc32c.value


class Block(NamedTuple):
    """The bytes of one write, and how many events it holds."""

    data: bytes
    events: int


def encode_block(groups: Sequence[Sequence[bytes]], first: int, max_event_bytes: int) -> Block:
    """Encodes all groups for one write; empty groups vanish.

    Args:
        groups: Events of each request.
        first: Sequence of the first event.
        max_event_bytes: Largest event allowed.

    Raises:
        EventTooLargeError: An event is larger.
        ValueError: An event of several contains a raw newline (a defect of its encoder).
    """
    pieces: list[bytes] = []
    sequence = first
    filled = [group for group in groups if group]
    remaining = len(filled)
    for group in filled:
        events = len(group)
        if events == 1:
            payload = group[0]
            largest = size = len(payload)
        else:
            payload = _joined(group)
            size, largest = len(payload), max(map(len, group))
        if largest > max_event_bytes:
            raise EventTooLargeError(
                f"an event of {largest} bytes exceeds MAX_EVENT_BYTES={max_event_bytes}: send less, or raise the limit"
            )
        remaining -= 1
        body = _pack_rest(VERSION if remaining else VERSION | CLOSES, events, size, sequence) + payload
        pieces += _pack_head(MAGIC, _checksum(body)), body
        sequence += events
    return Block(b"".join(pieces), sequence - first)


def _joined(group: Sequence[bytes]) -> bytes:
    payload = b"\n".join(group)
    if payload.count(b"\n") != len(group) - 1:
        raise ValueError("an event contains a raw newline: encode it with streaming.codec")
    return payload


class Frame(NamedTuple):
    """Where an intact frame lies in some bytes and which sequences it holds."""

    start: int
    end: int
    first: int
    events: int
    closes: bool


def frame_at(data: bytes, start: int) -> Frame | None:
    """The intact frame that starts there, if there is one."""
    body = start + _head.size
    if len(data) - start < HEADER_BYTES or data[start : start + 4] != MAGIC:
        return None
    flags, count, length, first = _rest.unpack_from(data, body)
    end = start + HEADER_BYTES + length
    if end > len(data) or flags & _VERSION_MASK != VERSION or not count:
        return None
    (checksum,) = struct.unpack_from("<I", data, start + 4)
    if _checksum(data[body:end]) != checksum:
        return None
    return Frame(start, end, first, count, bool(flags & CLOSES))


def find_frame(data: bytes, start: int, sequence: int) -> Frame | None:
    """The first intact frame at or after `start` that holds `sequence` or a later one from its beginning on."""
    position = data.find(MAGIC, start)
    while position >= 0:
        frame = frame_at(data, position)
        if frame is not None and frame.first >= sequence:
            return frame
        position = data.find(MAGIC, position + 1)
    return None


def last_frame(data: bytes, *, closing: bool) -> Frame | None:
    """The last intact frame, or with `closing` the last that ends a write."""
    position = data.rfind(MAGIC)
    while position >= 0:
        frame = frame_at(data, position)
        if frame is not None and (frame.closes or not closing):
            return frame
        position = data.rfind(MAGIC, 0, position)
    return None


class Run(NamedTuple):
    """Consecutive intact events from the beginning of some bytes.

    Attributes:
        values: The events.
        used: Bytes they took.
    """

    values: list[bytes]
    used: int


def decode_run(data: bytes, sequence: int, *, ceiling: int | None = None, closing: bool = False) -> Run:
    """Decodes frames from the first byte on, as long as each is intact and carries on the sequence.

    Args:
        data: Bytes of a segment, beginning at a frame.
        sequence: Sequence the first event must have.
        ceiling: Stop before this sequence: later ones were cut back and written anew elsewhere.
        closing: Stop after the last frame that ends a write.
    """
    values: list[bytes] = []
    position = safe_position = safe_count = 0
    while (frame := frame_at(data, position)) is not None:
        if frame.first != sequence or (ceiling is not None and sequence >= ceiling):
            break
        payload = data[position + HEADER_BYTES : frame.end]
        if frame.events == 1:
            values.append(payload)
        else:
            values += payload.split(b"\n")
        sequence += frame.events
        position = frame.end
        if frame.closes:
            safe_position, safe_count = position, len(values)
    if closing:
        del values[safe_count:]
        position = safe_position
    return Run(values, position)
