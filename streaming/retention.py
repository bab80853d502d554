"""What may go from the segment log: closed segments that the required reader has committed, and nothing else.

First those older than LOG_RETENTION_DAYS, then, while the log is over LOG_MAX_BYTES or the disk is within its
reserve, the oldest whatever their age. A partition whose writer is gone and whose last segment went leaves its
first and next sequence in the ledger. Any process may do this at any time; doing it twice is harmless.
"""

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from streaming.metrics import LOG_BYTES, LOG_DELETED_SEGMENTS
from streaming.segments.layout import (
    bytes_on_disk,
    is_live,
    partition_folders,
    remember,
    removed_partition,
    segment_path,
    segments_of,
    span_of,
    tail_of,
)
from streaming.segments.offsets import read_offsets
from streaming.settings import StreamingSettings

_log = logging.getLogger("understudy.streaming")


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long and how much the log keeps, and for whom."""

    required_group: str
    retention: timedelta
    max_bytes: int
    reserve_bytes: int

    @classmethod
    def of(cls, settings: StreamingSettings) -> "RetentionPolicy":
        """The policy an operator has set."""
        return cls(
            required_group=settings.log_required_group,
            retention=timedelta(days=settings.log_retention_days),
            max_bytes=settings.log_max_bytes,
            reserve_bytes=settings.log_reserve_bytes,
        )


class _Segment(NamedTuple):
    """A closed segment that the required reader has committed."""

    written_seconds: float
    path: Path
    size: int


def enforce(log_dir: Path, policy: RetentionPolicy, now: datetime, *, need_bytes: int = 0) -> int:
    """Deletes what may go; returns the bytes freed.

    Args:
        log_dir: Folder of the log.
        policy: What to keep.
        now: The present, with its time zone.
        need_bytes: Room to make besides, for what is about to be appended.
    """
    committed = read_offsets(log_dir, policy.required_group)
    oldest_seconds = (now - policy.retention).timestamp()
    total = bytes_on_disk(log_dir)
    excess = max(total + need_bytes - policy.max_bytes, need_bytes + policy.reserve_bytes - _free_bytes(log_dir))
    freed = 0
    for segment in sorted(_deletable(log_dir, committed)):
        if segment.written_seconds >= oldest_seconds and freed >= excess:
            break
        freed += _delete(segment)
    for folder in partition_folders(log_dir):
        _remove_if_done(folder)
    LOG_BYTES.set(total - freed)
    return freed


def _free_bytes(log_dir: Path) -> int:
    try:
        disk = os.statvfs(log_dir)
    except FileNotFoundError:
        return 0
    return disk.f_bavail * disk.f_frsize


def _deletable(log_dir: Path, committed: dict[str, int]) -> Iterator[_Segment]:
    for folder in partition_folders(log_dir):
        done = committed.get(folder.name, 0)
        segments = segments_of(folder)
        # a segment ends where the next one begins
        closed = [first for first, following in pairwise(segments) if following <= done]
        if segments and len(closed) == len(segments) - 1 and _last_is_done(folder, segments[-1], done):
            closed.append(segments[-1])
        written = 0.0
        for first in closed:
            path = segment_path(folder, first)
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                # never younger than the one before, so that a clock set back does not delete out of order
                written = max(written, status.st_mtime)
                yield _Segment(written, path, status.st_size)


def _last_is_done(folder: Path, last: int, done: int) -> bool:
    return not is_live(folder) and tail_of(segment_path(folder, last), last, live=False).next <= done


def _delete(segment: _Segment) -> int:
    folder = segment.path.parent
    if segments_of(folder)[-1:] == [int(segment.path.stem)]:
        # the last one takes the partition's end with it, so the ledger must know it first
        span = span_of(folder)
        if span is None or span.live:
            return 0
        remember(folder.parent, folder.name, span)
    with contextlib.suppress(FileNotFoundError):
        segment.path.unlink()
        LOG_DELETED_SEGMENTS.inc()
        _log.info("log_segment_deleted", extra={"segment": str(segment.path), "bytes": segment.size})
        return segment.size
    return 0


def _remove_if_done(folder: Path) -> None:
    """Removes the folder of a partition that the ledger knows, or in which nothing was ever written."""
    if is_live(folder):
        return
    segments = segments_of(folder)
    first = segment_path(folder, 0)
    if segments == [0] and not first.stat().st_size:
        first.unlink(missing_ok=True)
    elif segments or removed_partition(folder.parent, folder.name) is None:
        return
    for path in (folder / "torn", folder / "lock"):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
