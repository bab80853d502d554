"""SegmentWriter: appends to one new partition, one write per call."""

import contextlib
import errno
import fcntl
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from streaming.errors import LogUnavailableError
from streaming.metrics import LOG_APPEND_FAILURES
from streaming.segments.frames import encode_block
from streaming.segments.layout import segment_path
from streaming.segments.room import Room

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class WritePolicy:
    """What a writer keeps to; `sync` waits for the device before an append returns."""

    max_event_bytes: int
    segment_bytes: int
    segment_seconds: float
    sync: bool


class SegmentWriter:
    """The writer of one partition; see `EventWriter`.

    A short or failed write is cut back before anything else is acked. A segment whose fdatasync failed is
    given up and never retried: its events were not acked, yet a reader may have seen them.
    """

    def __init__(
        self, folder: Path, policy: WritePolicy, room: Room, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Makes the partition's folder, which must not exist.

        Raises:
            LogUnavailableError: The folder cannot be made or written.
        """
        self._folder = folder
        self._policy = policy
        self._room = room
        self._clock = clock
        self._next = 0
        self._size = 0
        self._roll_at = clock() + policy.segment_seconds
        try:
            self._lock, self._file = _new_partition(folder)
            if policy.sync:
                _sync_folder(folder)
                _sync_folder(folder.parent)
        except OSError as error:
            raise LogUnavailableError(f"cannot open the log in {folder.parent}: {error}") from error

    @property
    def blocks(self) -> bool:
        """Whether `append` waits for the device (DURABILITY=disk)."""
        return self._policy.sync

    @property
    def max_event_bytes(self) -> int:
        """Largest event `append` takes."""
        return self._policy.max_event_bytes

    @property
    def partition(self) -> str:
        """Name of this writer's partition."""
        return self._folder.name

    @property
    def next_sequence(self) -> int:
        """Sequence the next event will get."""
        return self._next

    def append(self, groups: Sequence[Sequence[bytes]]) -> None:
        """Makes all events of all groups durable in one write; see `EventWriter.append`."""
        data, count = encode_block(groups, self._next, self._policy.max_event_bytes)
        if not count:
            return
        if self._lock < 0:
            raise LogUnavailableError("this writer is closed: open another")
        now = self._clock()
        size = len(data)
        if not self._room.admit(size, now):
            self._make_room(size, now)
        if self._file < 0 or now >= self._roll_at or (self._size and self._size + size > self._policy.segment_bytes):
            self._roll(now)
        self._write(data)
        self._size += size
        self._next += count
        if self._policy.sync:
            self._sync()

    def close(self) -> None:
        """Makes what was appended durable and gives the partition up. Idempotent."""
        if self._lock < 0:
            return
        try:
            if self._policy.sync and self._file >= 0:
                self._sync()
        finally:
            self._give_up_segment()
            os.close(self._lock)
            self._lock = -1

    def _make_room(self, size: int, now: float) -> None:
        # The segment at hand is never deleted, so a small log might be full of nothing else: close it and ask again.
        if self._size:
            self._roll(now)
            if self._room.admit(size, now, look_again=True):
                return
        LOG_APPEND_FAILURES.labels("full").inc()
        raise self._room.full_error()

    def _write(self, data: bytes) -> None:
        try:
            written = os.write(self._file, data)
        except OSError as error:
            self._cut_back()
            raise self._failed(error) from error
        if written != len(data):
            self._cut_back()
            raise self._failed(OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes were written"))

    def _cut_back(self) -> None:
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            # The next segment begins with the same sequence, which tells readers to ignore these bytes.
            self._give_up_segment()

    def _failed(self, error: OSError) -> LogUnavailableError:
        if error.errno in _NO_ROOM:
            self._room.exhausted()
            LOG_APPEND_FAILURES.labels("full").inc()
            return self._room.full_error()
        LOG_APPEND_FAILURES.labels("unavailable").inc()
        return LogUnavailableError(f"cannot append to the log in {self._folder.parent}: {error}")

    def _sync(self) -> None:
        try:
            sync_file(self._file)
        except OSError as error:
            self._give_up_segment()
            LOG_APPEND_FAILURES.labels("sync").inc()
            raise LogUnavailableError(f"the device did not take the log in {self._folder.parent}: {error}") from error

    def _give_up_segment(self) -> None:
        if self._file >= 0:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = -1

    def _roll(self, now: float) -> None:
        path = segment_path(self._folder, self._next)
        try:
            if self._file < 0:
                # Nothing of a segment that begins here was ever acked.
                path.unlink(missing_ok=True)
            elif not self._size:
                self._roll_at = now + self._policy.segment_seconds
                return
            following = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            if self._policy.sync:
                _sync_folder(self._folder)
        except OSError as error:
            raise self._failed(error) from error
        self._give_up_segment()
        self._file = following
        self._size = 0
        self._roll_at = now + self._policy.segment_seconds


def sync_file(file: int) -> None:
    """Waits until the device has the file's content; on macOS fsync alone stops at the drive's cache."""
    if sys.platform == "darwin":
        fcntl.fcntl(file, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(file)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _new_partition(folder: Path) -> tuple[int, int]:
    """Makes a partition that is locked and has a segment from the moment it can be seen."""
    hidden = folder.with_name(f".new-{folder.name}")
    hidden.mkdir(parents=True)
    lock = os.open(hidden / "lock", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file = os.open(segment_path(hidden, 0), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        hidden.rename(folder)
    except OSError:
        os.close(lock)
        raise
    return lock, file
