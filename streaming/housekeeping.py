"""What the indexer does between batches: retention, redriving on request, and how far behind it is."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from streaming import retention
from streaming.errors import StoreUnavailableError
from streaming.ids import received_at
from streaming.indexer import Indexer
from streaming.log import EventReader
from streaming.metrics import EVENT_LAG_SECONDS, STORE_BYTES, STORE_EXPIRED_EVENTS
from streaming.settings import StreamingSettings
from streaming.sqlite import SqliteStoreWriter
from streaming.sqlite.redrive import answer_requests

logger = logging.getLogger("understudy.streaming")


@dataclass
class Housekeeping:
    """Keeps the embedded log and store in order; call it as often as you like, it works every few seconds.

    Attributes:
        settings: Limits and folders.
        store: The store's one writer.
        indexer: What stores events.
        reader: Where they come from.
        clock: Our clock, UTC.
        every: Least time between two rounds.
    """

    settings: StreamingSettings
    store: SqliteStoreWriter
    indexer: Indexer
    reader: EventReader
    clock: Callable[[], datetime]
    every: timedelta = timedelta(seconds=2)
    _next: datetime | None = field(default=None, init=False)

    def __call__(self) -> None:
        """Does one round when it is time; a fault is logged and the round is done again at the next time."""
        now = self.clock()
        if self._next is not None and self._next - self.every <= now < self._next:
            return  # a clock set back does not stop the rounds
        self._next = now + self.every
        try:
            self._round(now)
        except (OSError, StoreUnavailableError) as error:
            logger.warning("housekeeping_failed", extra={"reason": str(error)})

    def _round(self, now: datetime) -> None:
        EVENT_LAG_SECONDS.set(self._lag_seconds(now))
        retention.enforce(self.settings.log_dir, retention.RetentionPolicy.of(self.settings), now)
        expired = self.store.expire(now)
        if expired:
            STORE_EXPIRED_EVENTS.inc(expired)
            logger.info("store_expired", extra={"events": expired})
        STORE_BYTES.set(self.store.bytes_on_disk())
        answered = answer_requests(self.settings.store_dir, self.store, self.settings.private_column_names, now)
        if answered:
            logger.info("redriven", extra={"requests": answered})

    def _lag_seconds(self, now: datetime) -> float:
        newest = self.indexer.newest_event_id
        if newest is None or not any(self.reader.lag().values()):
            return 0.0
        return max(0.0, (now - received_at(newest)).total_seconds())
