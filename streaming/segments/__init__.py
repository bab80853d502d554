"""The log on local disk: the API's ack, embedded and full stack alike.

    frames        the record format, and what of some bytes is intact (pure)
    layout        folders and files, and what can be told of a partition from outside
    writer        one new partition, one write per call;  buffered  the same off the caller's path (DURABILITY=none)
    room          how much may still be appended
    cursor        one partition, past whatever is damaged;  receive_time  where in it a time begins
    reader        all partitions, a fair share each;  offsets  what a group has committed

Rule: a partition has one writer in its life, and only retention deletes.
"""

import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from re import sub

from streaming import retention  # by module: retention imports layout from this package
from streaming.ids import new_event_ids
from streaming.log import EventLog, EventWriter
from streaming.segments.buffered import BufferedWriter
from streaming.segments.layout import PartitionSpan, partitions
from streaming.segments.offsets import GroupOffsets
from streaming.segments.reader import SegmentReader
from streaming.segments.room import Room
from streaming.segments.writer import SegmentWriter, WritePolicy
from streaming.settings import StreamingSettings

__all__: Sequence[str] = ["PartitionSpan", "SegmentLog", "open_segment_log", "partitions"]


class SegmentLog:
    """The log in `DATA_DIR/log`; see `EventLog`."""

    def __init__(self, settings: StreamingSettings) -> None:
        self._settings = settings

    def writer(self) -> EventWriter:
        """Opens a new partition for this process; raises LogUnavailableError when the folder cannot be written."""
        settings = self._settings
        host = sub(r"[^A-Za-z0-9-]", "-", socket.gethostname()) or "host"
        writer = SegmentWriter(
            settings.log_dir / f"{host}-{new_event_ids(1)[0]}", _write_policy(settings), self._room()
        )
        return BufferedWriter(writer) if settings.durability == "none" else writer

    def reader(self, group: str, *, start: datetime | None = None) -> SegmentReader:
        """Opens the log for `group`; see `EventLog.reader`."""
        return SegmentReader(self._settings.log_dir, GroupOffsets(self._settings.log_dir, group), start)

    def _room(self) -> Room:
        settings = self._settings
        return Room(
            settings.log_dir,
            max_bytes=settings.log_max_bytes,
            reserve_bytes=settings.log_reserve_bytes,
            headroom_bytes=_segment_bytes(settings) // 4,
            free=partial(_free, settings),
        )


def open_segment_log(settings: StreamingSettings) -> EventLog:
    """The segment log of these settings; touches nothing until a writer or reader is opened."""
    return SegmentLog(settings)


def _segment_bytes(settings: StreamingSettings) -> int:
    # only closed segments are deleted, so a small log must be made of many
    return min(settings.log_segment_bytes, max(4096, settings.log_max_bytes // 16))


def _write_policy(settings: StreamingSettings) -> WritePolicy:
    return WritePolicy(
        max_event_bytes=settings.max_event_bytes,
        segment_bytes=_segment_bytes(settings),
        segment_seconds=settings.log_segment_seconds,
        sync=settings.durability == "disk",
    )


def _free(settings: StreamingSettings, need_bytes: int) -> int:
    policy = retention.RetentionPolicy.of(settings)
    return retention.enforce(settings.log_dir, policy, datetime.now(UTC), need_bytes=need_bytes)
