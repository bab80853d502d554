"""The questions put to one day file, as SQL and its values. Nothing here opens a file or reads a clock."""

from collections.abc import Iterator, Sequence
from sqlite3 import Connection
from typing import Any, NamedTuple

from streaming.sqlite.days import first_id_at
from streaming.store import PredictionQuery

Statement = tuple[str, list[Any]]

MISSING_SHADOW = """
SELECT p.event_id, partitions.name, p.sequence
FROM predictions AS p JOIN partitions ON partitions.id = p.partition_id
WHERE p.series_id IN (
        SELECT id FROM series WHERE model_name = :name AND role = 'production' AND model_version <> :version)
    AND p.event_id >= :first
    AND NOT EXISTS (
        SELECT 1 FROM predictions AS answer WHERE answer.origin_event_id = p.event_id AND answer.series_id IN (
            SELECT id FROM series WHERE model_name = :name AND role = 'shadow' AND model_version = :version))
ORDER BY p.event_id
"""
REQUESTS_OF_EVENTS = """
SELECT request_id, row, model_name FROM predictions JOIN series ON series.id = series_id WHERE event_id IN ({ids})
"""
PARTITION_TOTALS = """
SELECT name, CASE series_id WHEN -1 THEN 'duplicates' ELSE 'stored' END, sum(events)
FROM tally JOIN partitions ON id = partition_id GROUP BY 1, 2
"""
# The same, counted from the rows themselves.
PARTITION_RECOUNT = """
SELECT name, ending, count(*) FROM (
    SELECT partition_id, 'stored' AS ending FROM predictions
    UNION ALL SELECT partition_id, 'stored' FROM labels
    UNION ALL SELECT partition_id, 'duplicates' FROM duplicates)
JOIN partitions ON id = partition_id GROUP BY 1, 2
"""
SERIES_TOTALS = """
SELECT model_name, model_version, role, outcome, sum(events)
FROM tally JOIN series ON id = series_id GROUP BY 1, 2, 3, 4
"""


class IdRange(NamedTuple):
    """Receive times as the ids that begin them: from `first` (inclusive) to `end` (exclusive)."""

    first: str = ""
    end: str = "g"  # after every hexadecimal digit


def id_range(query: PredictionQuery) -> IdRange:
    """The ids a query is after: received at or after `received_from`, before `received_to`."""
    return IdRange(
        first_id_at(query.received_from) if query.received_from else "",
        first_id_at(query.received_to) if query.received_to else "g",
    )


def predictions_statements(connection: Connection, query: PredictionQuery) -> Iterator[Statement]:
    """Statements that each give (event_id, document) newest first, at most `query.limit` rows.

    A query by an id is one statement over that id's index. Others are one statement a series (model, version, role),
    each a walk along the index (series, event id) that ends at the limit, however many events the day has.
    """
    wanted = id_range(query)
    series = _matching_series(connection, query)
    point, values = _by_id(query)
    names = ", ".join("?" * len(series))
    if point:
        where = f"{' AND '.join(point)} AND +series_id IN ({names}) AND +event_id >= ? AND +event_id < ?"
        yield _newest(where), [*values, *series, *wanted, query.limit]
        return
    for number in series:
        yield _newest("series_id = ? AND event_id >= ? AND event_id < ?"), [number, *wanted, query.limit]


def labels_statements(event_ids: Sequence[str], request_ids: Sequence[str]) -> Iterator[Statement]:
    """Statements that each give (label_id, labelled_at, document)."""
    columns = "SELECT label_id, labelled_at, document FROM labels"
    yield f"{columns} WHERE event_id IN ({_marks(event_ids)})", [*event_ids]
    if request_ids:
        yield f"{columns} WHERE request_id IN ({_marks(request_ids)}) AND event_id IS NULL", [*request_ids]


def requests_statement(event_ids: Sequence[str]) -> Statement:
    """The statement that gives (request_id, row, model_name) of these events."""
    return REQUESTS_OF_EVENTS.format(ids=_marks(event_ids)), [*event_ids]


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _newest(where: str) -> str:
    return f"SELECT event_id, document FROM predictions WHERE {where} ORDER BY event_id DESC LIMIT ?"  # noqa: S608 - only our own text


def _matching_series(connection: Connection, query: PredictionQuery) -> list[int]:
    rows = connection.execute(
        "SELECT id FROM series WHERE (?1 IS NULL OR model_name = ?1) AND (?2 IS NULL OR model_version = ?2) "
        "AND (?3 IS NULL OR role = ?3)",
        (query.model_name, query.model_version, query.role),
    )
    return [number for (number,) in rows]


def _by_id(query: PredictionQuery) -> tuple[list[str], list[str]]:
    """Conditions on the ids a query names, and their values."""
    named = {
        "event_id": query.event_id,
        "request_id": query.request_id,
        "origin_event_id": query.origin_event_id,
    }
    given = {column: value for column, value in named.items() if value is not None}
    return [f"{column} = ?" for column in given], list(given.values())
