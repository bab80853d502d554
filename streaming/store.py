"""EventStore: where events are found again. SQLite embedded, Elasticsearch in the full stack.

Writing is idempotent: an event id is stored once, whatever is offered again. Exactly one process writes.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

from streaming.events import Event
from streaming.log import LogRecord


class IndexedEvent(NamedTuple):
    """An event together with the log record it came from."""

    record: LogRecord
    event: Event


class DeadLetter(NamedTuple):
    """What the store can never take, kept with its reason to be redriven by a person.

    Attributes:
        record: Partition, offset and bytes (without private columns).
        reason: Stable short name, e.g. `corrupt_event`, `mapping`.
        detail: What a person needs to mend it.
        recorded_at: When it was set aside, UTC.
    """

    record: LogRecord
    reason: str
    detail: str
    recorded_at: datetime


class PartitionCount(NamedTuple):
    """How the events of one log partition ended, for `reconcile`."""

    stored: int
    duplicates: int
    dead_lettered: int
    expired: int


Resolution = Literal["stored", "duplicate"]


class MissingAnswer(NamedTuple):
    """A production event that a shadow version has not answered, and where that event stands in its log."""

    event_id: str
    partition: str
    offset: int


class StoreWriter(Protocol):
    """The writing side, held by one process only."""

    def index(self, events: Sequence[IndexedEvent]) -> tuple[list[Resolution], list[DeadLetter]]:
        """Stores events; returns when they are durable.

        Returns:
            A resolution for each event that was taken, and a dead letter for each refused for good
            (which the caller hands to `set_aside`).

        Raises:
            StoreUnavailableError: Offer the same batch again later.
            StoreRefusedError: Stop: a person must act.
        """

    def set_aside(self, letters: Sequence[DeadLetter]) -> None:
        """Keeps dead letters durably; one per partition and offset."""

    def expire(self, now: datetime) -> int:
        """Deletes what is past retention (whole days); returns how many events went."""

    def close(self) -> None:
        """Idempotent."""


class PredictionQuery(NamedTuple):
    """Which prediction events to find; None leaves a field open. Newest first."""

    model_name: str | None = None
    model_version: str | None = None
    role: str | None = None
    event_id: str | None = None
    request_id: str | None = None
    origin_event_id: str | None = None
    received_from: datetime | None = None
    received_to: datetime | None = None
    limit: int = 100


class StoreReader(Protocol):
    """The reading side: any number, never blocks the writer."""

    def predictions(self, query: PredictionQuery) -> list[dict[str, Any]]:
        """Prediction events as plain documents (the JSON form of `PredictionEvent`), newest first."""

    def labels(self, event_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Label events naming one of these prediction events."""

    def controls(
        self, *, kind: str | None = None, model_name: str | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Control events, newest first."""

    def counts(self) -> dict[tuple[str, str, str, str], int]:
        """Stored prediction events by (model name, model version, role, outcome)."""

    def partition_counts(self) -> Mapping[str, PartitionCount]:
        """How the events of each log partition ended."""

    def missing_shadow(
        self, model_name: str, model_version: str, *, received_from: datetime, fraction: float = 1.0
    ) -> list[MissingAnswer]:
        """Production events received since then that version should have answered in the shadow, but did not.

        Leaves out events that this very version answered as production and those outside the sampled fraction.
        """

    def dead_letters(self, *, limit: int = 100) -> list[DeadLetter]:
        """The oldest dead letters first."""

    def close(self) -> None:
        """Idempotent."""
