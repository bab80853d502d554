"""Dead letters: records the store can never take, set aside with their reason so that the log goes on.

They are never retried blindly. A person mends the cause (a newer reader, a schema, a bug) and then redrives them:
each is offered to the store again, and one that is taken stops being a dead letter.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

import msgspec

from streaming.codec import decode
from streaming.errors import CorruptEventError
from streaming.log import LogRecord
from streaming.private_columns import withhold_private, without_private
from streaming.store import DeadLetter, IndexedEvent, StoreWriter

CORRUPT_EVENT = "corrupt_event"
BAD_ID = "bad_id"
UNSTORABLE = "unstorable"
REASONS = (CORRUPT_EVENT, BAD_ID, UNSTORABLE, "mapping")


class RedriveReport(msgspec.Struct, frozen=True):
    """What became of the letters offered again.

    Attributes:
        offered: Letters that were offered.
        stored: Of these, taken by the store.
        duplicates: Of these, whose event the store already had from another place in the log.
        still_dead: Of these, refused again; they keep their place with the newest reason.
    """

    offered: int
    stored: int
    duplicates: int
    still_dead: int

    def plus(self, other: "RedriveReport") -> "RedriveReport":
        """Both together."""
        return RedriveReport(
            offered=self.offered + other.offered,
            stored=self.stored + other.stored,
            duplicates=self.duplicates + other.duplicates,
            still_dead=self.still_dead + other.still_dead,
        )


def sort_out(
    records: Iterable[LogRecord], private_columns: AbstractSet[str], now: datetime
) -> tuple[list[IndexedEvent], list[DeadLetter]]:
    """Splits records into events the store may be offered and dead letters, neither with private columns."""
    events: list[IndexedEvent] = []
    letters: list[DeadLetter] = []
    for record in records:
        try:
            events.append(without_private(record, decode(record.value), private_columns))
        except CorruptEventError as error:
            public = record._replace(value=withhold_private(record.value, private_columns))
            letters.append(DeadLetter(public, CORRUPT_EVENT, str(error), now))
    return events, letters


def redrive(
    writer: StoreWriter, letters: Sequence[DeadLetter], private_columns: AbstractSet[str], now: datetime
) -> RedriveReport:
    """Offers dead letters to the store again. Safe to repeat, and after a crash at any point.

    Raises:
        StoreUnavailableError: Nothing is lost: redrive again later.
        StoreRefusedError: A person must act first.
    """
    events, dead = sort_out((letter.record for letter in letters), private_columns, now)
    resolutions, refused = writer.index(events)
    dead += refused
    writer.set_aside(dead)
    return RedriveReport(
        offered=len(letters),
        stored=resolutions.count("stored"),
        duplicates=resolutions.count("duplicate"),
        still_dead=len(dead),
    )
