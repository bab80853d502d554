"""EventLog: the protocol every log keeps, whether segments on disk, Kafka, or the in-memory twin.

It promises only:
- `append` returns when the events are durable, all of a group or none, and raises otherwise;
- order per writer inside a partition; offsets are opaque, increase, and may have gaps;
- partitions appear, vanish and are revoked while one reads;
- at least once: after a crash a reader sees again what it had not committed.

A *group* is the events of one request: they become readable together or not at all.
An *offset* in this code is always the next to read; `LogRecord.offset` is the record's own.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol


class LogRecord(NamedTuple):
    """One event as it stands in the log.

    Attributes:
        partition: Opaque name; never a metric label.
        offset: The record's own offset; commit `offset + 1`.
        value: The event's bytes (`streaming.codec`).
    """

    partition: str
    offset: int
    value: bytes


class EventWriter(Protocol):
    """Appends to one partition of its own. Not thread-safe: one thread at a time."""

    @property
    def blocks(self) -> bool:
        """Whether `append` waits for a device or a network, so that an event loop must call it in a thread."""

    def append(self, groups: Sequence[Sequence[bytes]]) -> None:
        """Makes all events of all groups durable in one write, in order.

        Raises:
            EventTooLargeError: An event exceeds the limit; nothing was appended.
            LogUnavailableError: Nothing was appended; the caller acks nothing and may try again.
            LogFullError: The same, until space is freed.
        """

    def close(self) -> None:
        """Makes what was appended durable and gives the partition up. Idempotent."""


class EventReader(Protocol):
    """Reads every partition on behalf of one named group, from where the group last committed.

    Not thread-safe. Positions handed out are kept in memory; only `commit` keeps them over a restart.
    """

    def poll(self, max_records: int, timeout_seconds: float) -> list[LogRecord]:
        """Returns up to `max_records` records, waiting at most `timeout_seconds` for the first.

        Never raises for a damaged record: a log skips and counts what it cannot read.
        """

    def commit(self, offsets: Mapping[str, int]) -> None:
        """Keeps, per partition, the offset to read next after a restart. Never moves backwards."""

    def committed(self) -> Mapping[str, int]:
        """What `commit` last kept, per partition."""

    def lag(self) -> Mapping[str, int]:
        """Events appended but not yet committed, per partition (an estimate while writers are active)."""

    def close(self) -> None:
        """Gives the partitions up without committing. Idempotent."""


class EventLog(Protocol):
    """A log that several processes append to and several groups read."""

    def writer(self) -> EventWriter:
        """Opens a new partition for this process.

        Raises:
            LogUnavailableError: The log cannot be opened.
        """

    def reader(self, group: str, *, start: datetime | None = None) -> EventReader:
        """Opens the log for `group`.

        Args:
            group: Readers of one group share its committed offsets.
            start: Where a partition that the group never committed begins: at its first event received at or
                after `start` (a little before is allowed), or at its beginning when None.
        """
