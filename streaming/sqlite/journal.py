"""The writing side of the journal: controls, dead letters, and how much of each deleted day there was."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date
from pathlib import Path

from streaming.events import ControlEvent
from streaming.log import LogRecord
from streaming.sqlite.connect import open_writing, transaction, translated
from streaming.sqlite.day import UNSTORABLE, ClosedDay, Unstorable
from streaming.store import DeadLetter, Resolution

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE controls (
    control_id TEXT PRIMARY KEY, kind TEXT NOT NULL, model_name TEXT NOT NULL,
    partition TEXT NOT NULL, sequence INTEGER NOT NULL, document TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE duplicates (
    partition TEXT NOT NULL, sequence INTEGER NOT NULL, control_id TEXT NOT NULL,
    PRIMARY KEY (partition, sequence)) WITHOUT ROWID;
CREATE TABLE dead_letters (
    partition TEXT NOT NULL, sequence INTEGER NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
    recorded_at TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (partition, sequence));
CREATE TABLE expired_days (day TEXT PRIMARY KEY) WITHOUT ROWID;
-- last_sequence: an event of that day up to here is counted already, whenever it is offered again
CREATE TABLE expired (
    day TEXT NOT NULL, partition TEXT NOT NULL, events INTEGER NOT NULL, last_sequence INTEGER NOT NULL,
    PRIMARY KEY (day, partition)) WITHOUT ROWID
"""
_ADD_EXPIRED = """
INSERT INTO expired VALUES (?, ?, 1, ?) ON CONFLICT (day, partition) DO UPDATE
SET events = events + 1, last_sequence = max(last_sequence, excluded.last_sequence)
"""
_KEEP_LETTER = """
INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (partition, sequence) DO UPDATE
SET reason = excluded.reason, detail = excluded.detail
"""


class Journal:
    """Writes the journal. Not thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # rare commits, and what a deleted day held must outlive a power cut: nothing else knows it any more
        self._connection = open_writing(path, _SCHEMA, SCHEMA_VERSION, sync=True)
        with translated(path):
            self._letters = self._count_letters()
            days = self._connection.execute("SELECT day FROM expired_days").fetchall()
        self._expired_days = {date.fromisoformat(day) for (day,) in days}

    @property
    def expired_days(self) -> frozenset[date]:
        """Days whose file is gone or about to go."""
        return frozenset(self._expired_days)

    def is_expired(self, day: date) -> bool:
        """Whether events of that day are no longer stored, only counted."""
        return day in self._expired_days

    def add_control(self, record: LogRecord, event: ControlEvent) -> Resolution | Unstorable:
        """Stores a control event once."""
        with transaction(self._connection, self._path):
            stored = self._connection.execute(
                "SELECT partition, sequence FROM controls WHERE control_id = ?", (event.control_id,)
            ).fetchone()
            if stored is not None and stored != (record.partition, record.offset):
                self._connection.execute(
                    "INSERT OR IGNORE INTO duplicates VALUES (?, ?, ?)",
                    (record.partition, record.offset, event.control_id),
                )
                return "duplicate"
            if stored is None:
                try:
                    self._connection.execute(
                        "INSERT INTO controls VALUES (?, ?, ?, ?, ?, ?)",
                        (
                            event.control_id,
                            event.kind,
                            event.model_name,
                            record.partition,
                            record.offset,
                            record.value.decode(),
                        ),
                    )
                except UNSTORABLE as error:
                    return Unstorable(str(error))
            return "stored"

    def add_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Keeps dead letters, one a record, the newest reason."""
        rows = [
            (
                letter.record.partition,
                letter.record.offset,
                letter.reason,
                letter.detail,
                letter.recorded_at.astimezone(UTC).isoformat(),
                letter.record.value,
            )
            for letter in letters
        ]
        with transaction(self._connection, self._path):
            self._connection.executemany(_KEEP_LETTER, rows)
            self._letters = self._count_letters()

    def forget_letters(self, records: Sequence[LogRecord]) -> None:
        """Drops the dead letters of records that have been stored after all."""
        if not self._letters or not records:
            return
        with transaction(self._connection, self._path):
            self._connection.executemany(
                "DELETE FROM dead_letters WHERE partition = ? AND sequence = ?",
                [(record.partition, record.offset) for record in records],
            )
            self._letters = self._count_letters()

    def expire_day(self, day: date, held: Mapping[str, ClosedDay]) -> None:
        """Records what a day file held, before the file is deleted. Safe to repeat."""
        with transaction(self._connection, self._path):
            self._connection.execute("INSERT OR IGNORE INTO expired_days VALUES (?)", (day.isoformat(),))
            self._connection.executemany(
                "INSERT OR REPLACE INTO expired VALUES (?, ?, ?, ?)",
                [(day.isoformat(), partition, *of_day) for partition, of_day in held.items()],
            )
        self._expired_days.add(day)

    def count_expired(self, day: date, records: Sequence[LogRecord]) -> None:
        """Counts events that arrive after their day has gone, each record once.

        A partition is read in order, so what lies at or below its highest counted sequence is a repeat, unless it
        was a dead letter until now. That the letter goes in the same transaction keeps a repeat from counting.
        """
        with transaction(self._connection, self._path):
            for record in records:
                key = (day.isoformat(), record.partition)
                last = self._connection.execute(
                    "SELECT last_sequence FROM expired WHERE day = ? AND partition = ?", key
                ).fetchone()
                was_dead = self._connection.execute(
                    "DELETE FROM dead_letters WHERE partition = ? AND sequence = ?", (record.partition, record.offset)
                ).rowcount
                if was_dead or last is None or record.offset > last[0]:
                    self._connection.execute(_ADD_EXPIRED, (*key, record.offset))
            self._letters = self._count_letters()

    def close(self) -> None:
        """Checkpoints and closes. Idempotent."""
        self._connection.close()

    def _count_letters(self) -> int:
        (count,) = self._connection.execute("SELECT count(*) FROM dead_letters").fetchone()
        assert isinstance(count, int)
        return count
