"""The indexer: the effect that carries the log's events into the store, each exactly once.

The store keeps an event id once and remembers from which record it came, so the same batch may be offered any
number of times. What can never be stored becomes a dead letter; when that happens many times in a row the fault is
ours or the store's, not the records', and the indexer stops before it empties the log into the dead letters.
"""

import logging
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime

from streaming.deadletter import sort_out
from streaming.errors import StoreRefusedError
from streaming.events import id_of
from streaming.log import LogRecord
from streaming.metrics import DEAD_LETTERS, INDEXED_EVENTS
from streaming.store import DeadLetter, Resolution, StoreWriter

logger = logging.getLogger("understudy.streaming")


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Indexer:
    """Stores batches of the log; an `Effect` of the reader loop.

    Attributes:
        store: Where events go.
        private_columns: Features that go nowhere.
        max_consecutive_dead_letters: How many in a row stop the reader.
        clock: Our clock, UTC.
        dead_in_a_row: Dead letters since the last event that was taken.
        newest_event_id: Id of the last event offered to the store, for its age.
    """

    store: StoreWriter
    private_columns: AbstractSet[str] = frozenset()
    max_consecutive_dead_letters: int = 100
    clock: Callable[[], datetime] = _utc_now
    dead_in_a_row: int = field(default=0, init=False)
    newest_event_id: str | None = field(default=None, init=False)

    def __call__(self, records: Sequence[LogRecord], /) -> None:
        """Stores what can be stored and sets aside the rest; durable on return.

        Raises:
            StoreUnavailableError: Offer the same batch again.
            StoreRefusedError: The store refuses, or too many dead letters in a row: nothing of them was set aside.
        """
        events, letters = sort_out(records, self.private_columns, self.clock())
        resolutions, refused = self.store.index(events)
        letters += refused
        dead_in_a_row = self._dead_in_a_row(records, letters)
        if letters:
            self.store.set_aside(letters)
        self.dead_in_a_row = dead_in_a_row
        if resolutions:
            self.newest_event_id = id_of(events[-1].event)
        _count(resolutions, letters)

    def _dead_in_a_row(self, records: Sequence[LogRecord], letters: Sequence[DeadLetter]) -> int:
        if not letters:
            return 0
        reasons = {(letter.record.partition, letter.record.offset): letter for letter in letters}
        run = self.dead_in_a_row
        for record in records:
            letter = reasons.get((record.partition, record.offset))
            run = run + 1 if letter else 0
            if letter and run >= self.max_consecutive_dead_letters:
                raise StoreRefusedError(
                    f"{run} records in a row cannot be stored, the last because of {letter.reason} ({letter.detail}): "
                    "mend the cause, or raise MAX_CONSECUTIVE_DEAD_LETTERS to set them aside"
                )
        return run


def _count(resolutions: Sequence[Resolution], letters: Sequence[DeadLetter]) -> None:
    duplicates = resolutions.count("duplicate")
    INDEXED_EVENTS.labels("stored").inc(len(resolutions) - duplicates)
    if duplicates:
        INDEXED_EVENTS.labels("duplicate").inc(duplicates)
    for letter in letters:
        DEAD_LETTERS.labels(letter.reason).inc()
        logger.warning("dead_letter", extra={"reason": letter.reason, "detail": letter.detail})
