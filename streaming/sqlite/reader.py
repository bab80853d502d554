"""The reading side of the embedded store: looks into the day files, newest first, without holding any open."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, time
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import msgspec

from streaming.ids import sample_position
from streaming.log import LogRecord
from streaming.sqlite import queries
from streaming.sqlite.connect import reading
from streaming.sqlite.days import day_number, day_of_number, day_path, days_present, first_id_at, journal_path
from streaming.store import DeadLetter, MissingAnswer, PartitionCount, PredictionQuery

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_CHUNK = 500  # ids asked for in one statement
_Tally = defaultdict[str, Counter[str]]
_JOURNAL_TOTALS = """
SELECT partition, 'stored', count(*) FROM controls GROUP BY 1
UNION ALL SELECT partition, 'duplicates', count(*) FROM duplicates GROUP BY 1
UNION ALL SELECT partition, 'dead_lettered', count(*) FROM dead_letters GROUP BY 1
UNION ALL SELECT partition, 'expired', sum(events) FROM expired GROUP BY 1
"""


class SqliteStoreReader:
    """StoreReader over the files of one folder, which need not exist yet. Thread-safe: it keeps nothing open.

    Every call sees each file as it is at that moment, and raises StoreUnavailableError or StoreRefusedError, naming
    the file, when one cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def predictions(self, query: PredictionQuery) -> list[dict[str, Any]]:
        """Prediction events as plain documents, newest first by receive time."""
        found: list[str] = []
        for _, connection in self._open_days(self._days_of(query)):
            rest = query._replace(limit=query.limit - len(found))
            rows: list[tuple[str, str]] = []
            for statement in queries.predictions_statements(connection, rest):
                rows += connection.execute(*statement)
            found += [document for _, document in sorted(rows, reverse=True)[: rest.limit]]
            if len(found) >= query.limit:
                break
        return [_decode(document) for document in found]

    def labels(self, event_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Labels of these events, named by event id or by request id and row; the one known last comes first."""
        found: dict[str, tuple[float, str, str]] = {}
        for start in range(0, len(event_ids), _CHUNK):
            chunk = event_ids[start : start + _CHUNK]
            requests = self._requests_of(chunk)
            for label_id, labelled_at, document in self._labels_of(chunk, sorted({key[0] for key in requests})):
                if _names_one_of(_decode(document), requests):
                    found[label_id] = (labelled_at, label_id, document)
        return [_decode(document) for _, _, document in sorted(found.values(), reverse=True)]

    def controls(
        self, *, kind: str | None = None, model_name: str | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Control events, newest first."""
        with reading(journal_path(self._folder)) as journal:
            if journal is None:
                return []
            rows = journal.execute(
                "SELECT document FROM controls WHERE (?1 IS NULL OR kind = ?1) AND (?2 IS NULL OR model_name = ?2) "
                "ORDER BY control_id DESC LIMIT ?3",
                (kind, model_name, limit),
            )
            return [_decode(document) for (document,) in rows]

    def counts(self) -> dict[tuple[str, str, str, str], int]:
        """Stored prediction events by (model name, model version, role, outcome)."""
        counts: Counter[tuple[str, str, str, str]] = Counter()
        for _, connection in self._open_days(days_present(self._folder)):
            for name, version, role, outcome, events in connection.execute(queries.SERIES_TOTALS):
                counts[name, version, role, outcome] += events
        return dict(counts)

    def partition_counts(self) -> Mapping[str, PartitionCount]:
        """How the events of each log partition ended."""
        while True:
            tally: _Tally = defaultdict(Counter)
            if self._count_partitions(tally):
                return {
                    partition: PartitionCount(*(endings[ending] for ending in PartitionCount._fields))
                    for partition, endings in tally.items()
                }

    def missing_shadow(
        self, model_name: str, model_version: str, *, received_from: datetime, fraction: float = 1.0
    ) -> list[MissingAnswer]:
        """Production events that this version has not answered in the shadow, newest day first."""
        values = {"name": model_name, "version": model_version, "first": first_id_at(received_from)}
        days = [day for day in days_present(self._folder) if day >= received_from.astimezone(UTC).date()]
        return [
            MissingAnswer(*row)
            for _, connection in self._open_days(days)
            for row in connection.execute(queries.MISSING_SHADOW, values)
            if sample_position(row[0]) < fraction
        ]

    def dead_letters(self, *, limit: int = 100) -> list[DeadLetter]:
        """The oldest dead letters first."""
        with reading(journal_path(self._folder)) as journal:
            if journal is None:
                return []
            rows = journal.execute(
                "SELECT partition, sequence, value, reason, detail, recorded_at FROM dead_letters "
                "ORDER BY recorded_at, partition, sequence LIMIT ?",
                (limit,),
            )
            return [
                DeadLetter(LogRecord(partition, sequence, value), reason, detail, datetime.fromisoformat(at))
                for partition, sequence, value, reason, detail, at in rows
            ]

    def close(self) -> None:
        """Nothing to close: every call opens and closes its files."""

    def _open_days(self, days: Sequence[date]) -> Iterator[tuple[date, Connection]]:
        """Day files still there, newest first, each open until the next is asked for."""
        for day in sorted(days, reverse=True):
            with reading(day_path(self._folder, day)) as connection:
                if connection is not None:
                    yield day, connection

    def _days_of(self, query: PredictionQuery) -> list[date]:
        """Days whose files may hold what a query is after. A derived id has its origin's receive time."""
        days = days_present(self._folder)
        for named in (query.event_id, query.origin_event_id):
            if named is not None:
                number = day_number(named)
                days = [] if number is None else [day for day in days if day == day_of_number(number)]
        wanted = queries.id_range(query)
        return [day for day in days if _overlaps(day, wanted)]

    def _requests_of(self, event_ids: Sequence[str]) -> set[tuple[str, int, str]]:
        """Request id, row and model name of these events."""
        numbers = {day_number(event_id) for event_id in event_ids}
        days = {day_of_number(number) for number in numbers if number is not None}
        statement = queries.requests_statement(event_ids)
        return {
            row
            for _, connection in self._open_days([*days.intersection(days_present(self._folder))])
            for row in connection.execute(*statement)
        }

    def _labels_of(self, event_ids: Sequence[str], request_ids: Sequence[str]) -> Iterator[tuple[str, float, str]]:
        for _, connection in self._open_days(days_present(self._folder)):
            for statement in queries.labels_statements(event_ids, request_ids):
                yield from connection.execute(*statement)

    def _count_partitions(self, tally: _Tally) -> bool:
        """Adds up one consistent look; False when a day went meanwhile and the look must be taken again."""
        expired: set[date] = set()
        days = days_present(self._folder)
        with reading(journal_path(self._folder)) as journal:
            if journal is not None:
                expired = {date.fromisoformat(day) for (day,) in journal.execute("SELECT day FROM expired_days")}
                _add(tally, journal.execute(_JOURNAL_TOTALS))
        counted = [day for day in days if day not in expired]
        for day, connection in self._open_days(counted):
            _add(tally, connection.execute(queries.PARTITION_TOTALS))
            counted.remove(day)
        return all(day_path(self._folder, day).exists() for day in counted)


def _add(tally: _Tally, rows: Iterator[tuple[str, str, int]]) -> None:
    for partition, ending, events in rows:
        tally[partition][ending] += events


def _overlaps(day: date, wanted: queries.IdRange) -> bool:
    first = first_id_at(datetime.combine(day, time.min, tzinfo=UTC))
    after = first_id_at(datetime.combine(day, time.max, tzinfo=UTC))
    return first < wanted.end and after > wanted.first


def _names_one_of(label: Mapping[str, Any], requests: AbstractSet[tuple[str, int, str]]) -> bool:
    """Whether a label found by event id or request id is about one of the events asked for."""
    if label.get("event_id") is not None:
        return True
    request_id, row, model = label.get("request_id"), label.get("row", 0), label.get("model_name")
    return any(named[:2] == (request_id, row) and model in (None, named[2]) for named in requests)
