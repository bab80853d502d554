"""Whatever the order, the repetition, the batches and the crashes: the store ends the same."""

import itertools
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.memory_store import MemoryStore
from streaming.sqlite import SqliteStoreReader, SqliteStoreWriter
from streaming.sqlite.connect import reading, transaction
from streaming.sqlite.days import day_path, days_present
from streaming.sqlite.queries import PARTITION_RECOUNT, PARTITION_TOTALS
from streaming.store import IndexedEvent, PredictionQuery, StoreReader, StoreWriter

EVERYTHING = PredictionQuery(limit=1000)


class _KilledError(BaseException):
    """Stands for the end of the process."""


def offer(writer: StoreWriter, events: list[IndexedEvent]) -> None:
    _, letters = writer.index(events)
    writer.set_aside(letters)


def look(reader: StoreReader) -> tuple[Any, ...]:
    return (
        sorted(document["event_id"] for document in reader.predictions(EVERYTHING)),
        reader.counts(),
        sum(sum(count) for count in reader.partition_counts().values()),
        len(reader.controls()),
        [letter.record for letter in reader.dead_letters()],
    )


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_order_and_repetition_ends_in_the_same_store(pool: list[IndexedEvent], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(pool))))
    repeated = data.draw(st.lists(st.integers(0, len(pool) - 1), max_size=10))
    offered = [pool[index] for index in [*order, *repeated]]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(offered)), max_size=5)))
    expected = MemoryStore()
    offer(expected, offered)
    with tempfile.TemporaryDirectory() as folder:
        writer = SqliteStoreWriter(Path(folder))
        for start, end in zip([0, *cuts], [*cuts, len(offered)], strict=True):
            offer(writer, offered[start:end])
        reader = SqliteStoreReader(Path(folder))
        assert look(expected) == look(reader)
        assert expected.partition_counts() == reader.partition_counts()
        writer.close()


@settings(max_examples=25, deadline=None)
@given(crashes=st.lists(st.integers(0, 25), max_size=6), batch_size=st.integers(1, 20))
def test_a_crash_around_any_transaction_changes_nothing_once_the_batch_is_offered_again(
    pool: list[IndexedEvent], crashes: list[int], batch_size: int
) -> None:
    batches = [pool[start : start + batch_size] for start in range(0, len(pool), batch_size)]
    expected = MemoryStore()
    for batch in batches:
        offer(expected, batch)
    with tempfile.TemporaryDirectory() as name:
        folder, planned = Path(name), list(crashes)
        for batch in batches:
            while planned and _dies(folder, batch, planned.pop()):
                pass
            assert not _dies(folder, batch, None)
        reader = SqliteStoreReader(folder)
        assert look(expected) == look(reader)
        assert expected.partition_counts() == reader.partition_counts()
        _tallies_equal_rows(folder)


def _dies(folder: Path, batch: list[IndexedEvent], steps: int | None) -> bool:
    """Offers a batch as a process that ends before, in or after one of its transactions; False when it survives."""
    left = itertools.count(steps if steps is not None else -1, -1)

    def step() -> None:
        if next(left) == 0:
            raise _KilledError

    @contextmanager
    def mortal(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
        step()
        with transaction(connection, path):
            yield
            step()
        step()

    writer = SqliteStoreWriter(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streaming.sqlite.day.transaction", mortal)
        patch.setattr("streaming.sqlite.journal.transaction", mortal)
        try:
            offer(writer, batch)
        except _KilledError:
            return True
        finally:
            writer.close()
    return False


def _tallies_equal_rows(folder: Path) -> None:
    for day in days_present(folder):
        with reading(day_path(folder, day)) as connection:
            assert connection is not None
            recounted = sorted(connection.execute(PARTITION_RECOUNT).fetchall())
            assert recounted == sorted(connection.execute(PARTITION_TOTALS).fetchall())
