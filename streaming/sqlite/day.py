"""The writing side of one day file: predictions and labels received that day, each once."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from streaming.events import ControlEvent, Event, LabelEvent, PredictionEvent, id_of
from streaming.log import LogRecord
from streaming.sqlite.connect import open_writing, transaction, translated
from streaming.store import IndexedEvent, Resolution

SCHEMA_VERSION = 1
LABELS = 0  # series of labels in the tally
DUPLICATES = -1  # series of duplicates in the tally
_SCHEMA = """
CREATE TABLE partitions (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE series (
    id INTEGER PRIMARY KEY, model_name TEXT NOT NULL, model_version TEXT NOT NULL, role TEXT NOT NULL,
    source TEXT NOT NULL, outcome TEXT NOT NULL,
    UNIQUE (model_name, model_version, role, source, outcome));
CREATE TABLE predictions (
    event_id TEXT NOT NULL, series_id INTEGER NOT NULL, request_id TEXT NOT NULL, row INTEGER NOT NULL,
    event_time REAL NOT NULL, origin_event_id TEXT, partition_id INTEGER NOT NULL, sequence INTEGER NOT NULL,
    document TEXT NOT NULL);
CREATE UNIQUE INDEX predictions_event_id ON predictions (event_id);
CREATE INDEX predictions_series ON predictions (series_id, event_id);
CREATE INDEX predictions_request_id ON predictions (request_id);
CREATE INDEX predictions_origin ON predictions (origin_event_id) WHERE origin_event_id IS NOT NULL;
CREATE TABLE labels (
    label_id TEXT NOT NULL, event_id TEXT, request_id TEXT, row INTEGER NOT NULL, labelled_at REAL NOT NULL,
    partition_id INTEGER NOT NULL, sequence INTEGER NOT NULL, document TEXT NOT NULL);
CREATE UNIQUE INDEX labels_label_id ON labels (label_id);
CREATE INDEX labels_event_id ON labels (event_id);
CREATE INDEX labels_request_id ON labels (request_id);
CREATE TABLE duplicates (
    partition_id INTEGER NOT NULL, sequence INTEGER NOT NULL, event_id TEXT NOT NULL,
    PRIMARY KEY (partition_id, sequence)) WITHOUT ROWID;
-- how many rows each partition has in each series: kept in the transaction that adds the rows
CREATE TABLE tally (
    partition_id INTEGER NOT NULL, series_id INTEGER NOT NULL, events INTEGER NOT NULL, last_sequence INTEGER NOT NULL,
    PRIMARY KEY (partition_id, series_id)) WITHOUT ROWID;
CREATE VIEW events AS
    SELECT event_id, model_name, model_version, role, source, outcome, request_id, row,
           datetime(event_time, 'unixepoch') AS event_time, origin_event_id, name AS log_partition, sequence, document
    FROM predictions JOIN series ON series.id = series_id JOIN partitions ON partitions.id = partition_id
"""
_INSERT_PREDICTION = "INSERT INTO predictions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_LABEL = "INSERT INTO labels VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_ADD_TO_TALLY = """
INSERT INTO tally VALUES (?, ?, ?, ?) ON CONFLICT (partition_id, series_id) DO UPDATE
SET events = events + excluded.events, last_sequence = max(last_sequence, excluded.last_sequence)
"""
UNSTORABLE = (ValueError, OverflowError, sqlite3.IntegrityError, sqlite3.DataError)
_PLACE_OF_PREDICTION = "SELECT partition_id, sequence FROM predictions WHERE event_id = ?"
_PLACE_OF_LABEL = "SELECT partition_id, sequence FROM labels WHERE label_id = ?"
_SERIES_ID = """
SELECT id FROM series WHERE model_name = ? AND model_version = ? AND role = ? AND source = ? AND outcome = ?
"""

Row = tuple[str | int | float | None, ...]


class Unstorable(NamedTuple):
    """An event that no row can hold, and why."""

    detail: str


class ClosedDay(NamedTuple):
    """What a day file holds of one partition: events of any kind, and the highest sequence among them."""

    events: int
    last_sequence: int


class DayFile:
    """Writes one day file. Not thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = open_writing(path, _SCHEMA, SCHEMA_VERSION)
        self._partitions: dict[str, int] = {}
        self._series: dict[tuple[str, ...], int] = {}

    def add(self, events: Sequence[IndexedEvent]) -> list[Resolution | Unstorable]:
        """Stores predictions and labels of this day in one transaction; says of each how it ended.

        Raises:
            StoreUnavailableError: Nothing was stored: offer the same events again.
            StoreRefusedError: Nothing was stored: a person must act.
        """
        try:
            with self._transaction():
                self._add_new(events)
        except UNSTORABLE:  # one is stored already, or never can be: look at each
            with self._transaction():
                return [self._add_one(record, event) for record, event in events]
        return ["stored"] * len(events)

    def closed_day(self) -> dict[str, ClosedDay]:
        """What the file holds of each partition."""
        with translated(self._path):
            rows = self._connection.execute(
                "SELECT name, sum(events), max(last_sequence) FROM tally JOIN partitions ON id = partition_id "
                "GROUP BY name"
            ).fetchall()
        return {name: ClosedDay(events, last) for name, events, last in rows}

    def close(self) -> None:
        """Checkpoints and closes. Idempotent."""
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with transaction(self._connection, self._path):
                yield
        except BaseException:
            self._partitions.clear()
            self._series.clear()  # they may hold ids that were given out in the transaction just undone
            raise

    def _add_new(self, events: Sequence[IndexedEvent]) -> None:
        """Adds events none of which is stored yet; raises one of UNSTORABLE otherwise."""
        predictions: list[Row] = []
        labels: list[Row] = []
        tally: Counter[tuple[int, int]] = Counter()
        last: dict[tuple[int, int], int] = {}
        for record, event in events:
            series, row = self._row(record, event)
            (labels if series == LABELS else predictions).append(row)
            key = (self._partition(record.partition), series)
            tally[key] += 1
            last[key] = max(last.get(key, 0), record.offset)
        self._connection.executemany(_INSERT_PREDICTION, predictions)
        self._connection.executemany(_INSERT_LABEL, labels)
        self._connection.executemany(_ADD_TO_TALLY, [(*key, count, last[key]) for key, count in tally.items()])

    def _add_one(self, record: LogRecord, event: Event) -> Resolution | Unstorable:
        """Adds one event of which nothing is known."""
        stored = self._connection.execute(
            _PLACE_OF_LABEL if isinstance(event, LabelEvent) else _PLACE_OF_PREDICTION, (id_of(event),)
        ).fetchone()
        place = (self._partition(record.partition), record.offset)
        if stored is not None:
            return "stored" if stored == place else self._add_duplicate(place, event)
        try:
            series, row = self._row(record, event)
            self._connection.execute(_INSERT_LABEL if series == LABELS else _INSERT_PREDICTION, row)
        except UNSTORABLE as error:
            return Unstorable(str(error))
        self._connection.execute(_ADD_TO_TALLY, (place[0], series, 1, place[1]))
        return "stored"

    def _add_duplicate(self, place: tuple[int, int], event: Event) -> Resolution:
        cursor = self._connection.execute("INSERT OR IGNORE INTO duplicates VALUES (?, ?, ?)", (*place, id_of(event)))
        if cursor.rowcount == 1:
            self._connection.execute(_ADD_TO_TALLY, (place[0], DUPLICATES, 1, place[1]))
        return "duplicate"

    def _row(self, record: LogRecord, event: Event) -> tuple[int, Row]:
        """The event's series and its row."""
        partition, document = self._partition(record.partition), record.value.decode()
        match event:
            case PredictionEvent():
                series = self._series_of(event)
                return series, (
                    event.event_id,
                    series,
                    event.request_id,
                    event.row,
                    event.event_time.timestamp(),
                    event.origin_event_id,
                    partition,
                    record.offset,
                    document,
                )
            case LabelEvent():
                return LABELS, (
                    event.label_id,
                    event.event_id,
                    event.request_id,
                    event.row,
                    event.labelled_at.timestamp(),
                    partition,
                    record.offset,
                    document,
                )
            case ControlEvent():
                raise TypeError("control events belong to the journal")

    def _partition(self, name: str) -> int:
        number = self._partitions.get(name)
        if number is None:
            self._connection.execute("INSERT OR IGNORE INTO partitions (name) VALUES (?)", (name,))
            (number,) = self._connection.execute("SELECT id FROM partitions WHERE name = ?", (name,)).fetchone()
            assert isinstance(number, int)
            self._partitions[name] = number
        return number

    def _series_of(self, event: PredictionEvent) -> int:
        key = (event.model_name, event.model_version, event.role, event.source, event.outcome)
        number = self._series.get(key)
        if number is None:
            self._connection.execute(
                "INSERT OR IGNORE INTO series (model_name, model_version, role, source, outcome) "
                "VALUES (?, ?, ?, ?, ?)",
                key,
            )
            (number,) = self._connection.execute(_SERIES_ID, key).fetchone()
            assert isinstance(number, int)
            self._series[key] = number
        return number
