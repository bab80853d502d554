"""SegmentReader: all partitions, a fair share each, on behalf of one group."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from streaming.log import LogRecord
from streaming.segments.cursor import Cursor
from streaming.segments.layout import is_live, partition_folders, segment_path, segments_of, tail_of
from streaming.segments.offsets import GroupOffsets

_LIST_SECONDS = 0.25
_IDLE_SECONDS = 0.02


class SegmentReader:
    """Reads every partition by looking at the folder; see `EventReader`.

    One reader of a group is active, the others of that group stand by and take over when it closes or dies.
    """

    def __init__(
        self,
        log_dir: Path,
        offsets: GroupOffsets,
        start: datetime | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._log_dir = log_dir
        self._offsets = offsets
        self._start = start
        self._clock = clock
        self._wait = wait
        self._cursors: dict[str, Cursor] = {}
        self._turn: deque[str] = deque()
        self._idle_until: dict[str, float] = {}
        self._done: set[str] = set()
        self._passed: dict[str, range] = {}  # of partitions read to their end
        self._list_at = float("-inf")
        self._ends: dict[str, int] = {}
        self._closed = False

    def poll(self, max_records: int, timeout_seconds: float) -> list[LogRecord]:
        """Returns up to `max_records` records, waiting at most `timeout_seconds` for the first."""
        deadline = self._clock() + timeout_seconds
        while not self._closed:
            records = self._take(max_records)
            remaining = deadline - self._clock()
            if records or remaining <= 0:
                return records
            self._wait(min(remaining, _IDLE_SECONDS))
        return []

    def commit(self, offsets: Mapping[str, int]) -> None:
        """Keeps, per partition, the offset to read next after a restart. Never moves backwards.

        What was lost after the last event handed out is committed with it, so that it counts as read.
        """
        ahead = dict(offsets)
        passed = {name: cursor.passed for name, cursor in self._cursors.items()} | self._passed
        for name, lost in passed.items():
            kept = ahead.get(name, self._offsets.offset(name))
            if lost and (lost.start if kept is None else kept) >= lost.start:
                ahead[name] = max(lost.stop, kept or 0)
        if ahead:
            self._offsets.commit(ahead)

    def committed(self) -> Mapping[str, int]:
        """What is committed, per partition; a deleted partition counts as read to its end."""
        return self._offsets.committed()

    def lag(self) -> Mapping[str, int]:
        """Events appended but not yet committed, per partition."""
        committed = self._offsets.committed()
        lags: dict[str, int] = {}
        for folder in partition_folders(self._log_dir):
            segments = segments_of(folder)
            if segments:
                read = max(committed.get(folder.name, 0), segments[0])
                lags[folder.name] = max(0, self._end(folder, segments[-1]) - read)
        return lags

    def close(self) -> None:
        """Gives the partitions up without committing. Idempotent."""
        self._closed = True
        self._cursors.clear()
        self._offsets.close()

    def _end(self, folder: Path, last: int) -> int:
        """Next sequence of a partition; of one whose writer is gone it is looked up once."""
        known = self._ends.get(folder.name)
        if known is not None:
            return known
        live = is_live(folder)
        end = tail_of(segment_path(folder, last), last, live=live).next
        if not live:
            self._ends[folder.name] = end
        return end

    def _read_before(self, folder: Path) -> bool:
        """Whether the group has committed all that a dead writer left."""
        committed = self._offsets.offset(folder.name)
        segments = segments_of(folder)
        if committed is None or not segments:
            return False
        return self._end(folder, segments[-1]) <= committed and folder.name in self._ends

    def _take(self, max_records: int) -> list[LogRecord]:
        now = self._clock()
        if now >= self._list_at:
            self._list_at = now + _LIST_SECONDS
            if not self._offsets.activate():
                return []
            self._look()
        ready = [name for name in self._turn if self._idle_until.get(name, now) <= now]
        records: list[LogRecord] = []
        while ready and len(records) < max_records:
            share = max(1, (max_records - len(records)) // len(ready))
            ready = [name for name in ready if self._take_share(name, min(share, max_records - len(records)), records)]
        self._turn.rotate(-1)
        return records

    def _take_share(self, name: str, share: int, records: list[LogRecord]) -> bool:
        """Adds a partition's share; False when it has no more for now."""
        if not share:
            return False
        cursor = self._cursors[name]
        taken = cursor.take(share)
        records += taken
        if taken:
            return True
        self._idle_until[name] = self._clock() + _IDLE_SECONDS
        if cursor.finished:
            self._forget(name)
        return False

    def _forget(self, name: str) -> None:
        if self._cursors[name].passed:
            self._passed[name] = self._cursors[name].passed
        self._done.add(name)
        self._turn.remove(name)
        del self._cursors[name]
        self._idle_until.pop(name, None)

    def _look(self) -> None:
        """Takes up new partitions and looks at the known ones."""
        if self._offsets.committed_any:
            self.commit({})
        for cursor in self._cursors.values():
            cursor.look()
        names = {folder.name: folder for folder in partition_folders(self._log_dir)}
        for name, folder in names.items():
            if name in self._cursors or name in self._done:
                continue
            if self._read_before(folder):
                self._done.add(name)
            else:
                self._cursors[name] = Cursor(folder, self._offsets.offset(name), self._start)
                self._turn.append(name)
        self._done &= names.keys()
