"""MemoryLog: the in-memory twin of the event log, for tests and for trying things out."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from streaming.codec import received_milliseconds
from streaming.errors import EventTooLargeError, LogFullError, LogUnavailableError
from streaming.log import LogRecord


@dataclass
class _State:
    """What writers and readers of one log share."""

    max_event_bytes: int
    max_bytes: int
    changed: threading.Condition = field(default_factory=threading.Condition)
    partitions: dict[str, list[bytes]] = field(default_factory=dict)
    committed: dict[str, dict[str, int]] = field(default_factory=dict)
    active: dict[str, "MemoryReader"] = field(default_factory=dict)
    size: int = 0
    numbers: "count[int]" = field(default_factory=count)


class MemoryLog:
    """A log that lives as long as this object; see `EventLog`. Nothing is ever deleted from it."""

    def __init__(self, *, max_event_bytes: int = 262_144, max_bytes: int = 1 << 30) -> None:
        """Args: beyond `max_bytes` in all, appends raise LogFullError."""
        self._state = _State(max_event_bytes, max_bytes)

    def writer(self) -> "MemoryWriter":
        """Opens a new partition."""
        return MemoryWriter(self._state)

    def reader(self, group: str, *, start: datetime | None = None) -> "MemoryReader":
        """Opens the log for `group`; see `EventLog.reader`."""
        return MemoryReader(self._state, group, start)


class MemoryWriter:
    """The writer of one partition in memory; see `EventWriter`."""

    blocks = False

    def __init__(self, state: _State) -> None:
        self._state = state
        with state.changed:
            self._values = state.partitions.setdefault(f"memory-{next(state.numbers)}", [])
        self._closed = False

    def append(self, groups: Sequence[Sequence[bytes]]) -> None:
        """Keeps all events of all groups, or none; see `EventWriter.append`."""
        events = [event for group in groups for event in group]
        largest, size = max(map(len, events), default=0), sum(map(len, events))
        state = self._state
        if largest > state.max_event_bytes:
            raise EventTooLargeError(
                f"an event of {largest} bytes exceeds MAX_EVENT_BYTES={state.max_event_bytes}: send less, or raise it"
            )
        with state.changed:
            if self._closed:
                raise LogUnavailableError("this writer is closed: open another")
            if state.size + size > state.max_bytes:
                raise LogFullError(f"the log in memory is full ({state.max_bytes} bytes)")
            self._values += events
            state.size += size
            state.changed.notify_all()

    def close(self) -> None:
        """Gives the partition up. Idempotent."""
        self._closed = True


class MemoryReader:
    """Reads every partition for one group; see `EventReader`. Of a group's readers one is active at a time."""

    def __init__(self, state: _State, group: str, start: datetime | None) -> None:
        self._state = state
        self._group = group
        self._start = start
        self._positions: dict[str, int] = {}
        self._closed = False

    def poll(self, max_records: int, timeout_seconds: float) -> list[LogRecord]:
        """Returns up to `max_records` records, waiting at most `timeout_seconds` for the first."""
        deadline = time.monotonic() + timeout_seconds
        with self._state.changed:
            while not (records := self._take(max_records)):
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    break
                self._state.changed.wait(remaining)
        return records

    def commit(self, offsets: Mapping[str, int]) -> None:
        """Keeps, per partition, the offset to read next. Never moves backwards."""
        with self._state.changed:
            kept = self._state.committed.setdefault(self._group, {})
            kept.update({name: offset for name, offset in offsets.items() if offset > kept.get(name, -1)})

    def committed(self) -> Mapping[str, int]:
        """What is committed, per partition."""
        with self._state.changed:
            return dict(self._state.committed.get(self._group, {}))

    def lag(self) -> Mapping[str, int]:
        """Events appended but not yet committed, per partition."""
        committed = self.committed()
        with self._state.changed:
            return {name: len(values) - committed.get(name, 0) for name, values in self._state.partitions.items()}

    def close(self) -> None:
        """Lets the group's next reader be active. Idempotent."""
        with self._state.changed:
            self._closed = True
            if self._state.active.get(self._group) is self:
                del self._state.active[self._group]
                self._state.changed.notify_all()

    def _take(self, max_records: int) -> list[LogRecord]:
        if self._closed or self._state.active.setdefault(self._group, self) is not self:
            return []
        records: list[LogRecord] = []
        waiting = len(self._state.partitions)
        for name, values in self._state.partitions.items():
            share = -(-(max_records - len(records)) // waiting)
            begin = self._position(name, values)
            taken = values[begin : begin + share]
            records += [LogRecord(name, begin + index, value) for index, value in enumerate(taken)]
            self._positions[name] = begin + len(taken)
            waiting -= 1
        return records

    def _position(self, name: str, values: list[bytes]) -> int:
        known = self._positions.get(name)
        if known is not None:
            return known
        committed = self._state.committed.get(self._group, {}).get(name)
        if committed is not None or self._start is None:
            return committed or 0
        since = self._start.timestamp() * 1000
        return next(
            (index for index, value in enumerate(values) if _received_milliseconds(value) >= since), len(values)
        )


def _received_milliseconds(value: bytes) -> float:
    received = received_milliseconds(value)
    return float("inf") if received is None else received
