"""Where in a partition a receive time begins, by segment modification times and the times inside event ids."""

import contextlib
from datetime import datetime
from pathlib import Path

from streaming.codec import received_milliseconds
from streaming.segments.frames import HEADER_BYTES, Frame, find_frame
from streaming.segments.layout import segment_path

_CLOCK_SLACK_SECONDS = 60.0


def first_received(folder: Path, segments: list[int], start: datetime) -> int:
    """Sequence of the first event received at or after `start`; the end of the last segment when there is none."""
    sequence = segments[0]
    for first in segments:
        path = segment_path(folder, first)
        sequence = first
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime + _CLOCK_SLACK_SECONDS < start.timestamp() and first != segments[-1]:
                continue
            found, sequence = _search(path.read_bytes(), first, start.timestamp() * 1000)
            if found:
                break
    return sequence


def _search(data: bytes, first: int, start_milliseconds: float) -> tuple[bool, int]:
    """Whether a frame was found, and its first sequence or else the one after the last frame."""
    sequence = first
    frame = find_frame(data, 0, first)
    while frame is not None:
        received = _received_milliseconds(data, frame)
        if received is None or received >= start_milliseconds:
            return True, frame.first
        sequence = frame.first + frame.events
        frame = find_frame(data, frame.end, sequence)
    return False, sequence


def _received_milliseconds(data: bytes, frame: Frame) -> int | None:
    """Receive time of a frame's first event; None where its id tells none."""
    event, _, _ = data[frame.start + HEADER_BYTES : frame.end].partition(b"\n")
    return received_milliseconds(event)
