"""The SQLite store's files: one writer, whole days, and what each fault of a file leads to."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.codec import decode
from streaming.errors import StoreRefusedError, StoreUnavailableError
from streaming.ids import new_event_ids, received_at
from streaming.log import LogRecord
from streaming.sqlite import SqliteStoreReader, SqliteStoreWriter, WriterLockedError
from streaming.sqlite.days import day_number, day_of_number, first_id_at
from streaming.store import IndexedEvent, PartitionCount, PredictionQuery

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY_FILE = "predictions-2026-11-21.db"
Make = Callable[..., LogRecord]


def event(made: LogRecord) -> IndexedEvent:
    return IndexedEvent(made, decode(made.value))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def writer(folder: Path) -> Iterator[SqliteStoreWriter]:
    made = SqliteStoreWriter(folder)
    yield made
    made.close()


def test_a_second_writer_is_told_who_writes(folder: Path, writer: SqliteStoreWriter) -> None:
    with pytest.raises(WriterLockedError, match=f"written by process {os.getpid()} already"):
        SqliteStoreWriter(folder)
    writer.close()
    SqliteStoreWriter(folder).close()


def test_a_folder_that_cannot_be_made_names_itself(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file in the way")
    with pytest.raises(StoreRefusedError, match=r"store's folder cannot be written.*store"):
        SqliteStoreWriter(tmp_path / "store")


def test_the_store_is_whole_after_closing_and_opening_again(folder: Path, record: Make) -> None:
    for number in range(3):
        writer = SqliteStoreWriter(folder)
        assert writer.index([event(record(number)), event(record(0))]) == (["stored", "stored"], [])
        writer.close()
    assert SqliteStoreReader(folder).partition_counts() == {"api-1": PartitionCount(3, 0, 0, 0)}


def test_a_damaged_day_file_stops_the_writer_and_is_named(
    folder: Path, record: Make, writer: SqliteStoreWriter
) -> None:
    (folder / DAY_FILE).write_bytes(b"this is no database, whatever its name says" * 500)
    with pytest.raises(StoreRefusedError, match=DAY_FILE):
        writer.index([event(record(1))])
    with pytest.raises(StoreRefusedError, match=DAY_FILE):
        SqliteStoreReader(folder).predictions(PredictionQuery())


def test_a_file_of_a_newer_schema_is_left_alone(folder: Path, record: Make, writer: SqliteStoreWriter) -> None:
    with sqlite3.connect(folder / DAY_FILE) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StoreRefusedError, match="schema 99, newer than 1: upgrade"):
        writer.index([event(record(1))])


def test_a_busy_file_makes_the_writer_try_again_later(
    folder: Path, record: Make, writer: SqliteStoreWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming.sqlite.connect._BUSY_SECONDS", 0.0)
    writer.index([event(record(1))])
    writer.close()
    again = SqliteStoreWriter(folder)
    blocker = sqlite3.connect(folder / DAY_FILE, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError, match="locked"):
        again.index([event(record(2))])
    blocker.execute("ROLLBACK")
    blocker.close()
    assert again.index([event(record(2))]) == (["stored"], [])
    again.close()


def test_a_full_disk_makes_the_writer_try_again_later(folder: Path, record: Make, writer: SqliteStoreWriter) -> None:
    writer.index([event(record(0))])
    connection = writer._day(date(2026, 11, 21))._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages}")
    batch = [event(record(number)) for number in range(1, 200)]
    with pytest.raises(StoreUnavailableError, match="full"):
        writer.index(batch)
    assert SqliteStoreReader(folder).partition_counts() == {"api-1": PartitionCount(1, 0, 0, 0)}
    connection.execute(f"PRAGMA max_page_count={pages + 1000}")
    assert writer.index(batch) == (["stored"] * 199, [])


@pytest.mark.parametrize("odd", [{"row": 2**70}, {"row": -(2**70)}])
def test_an_event_that_no_row_can_hold_does_not_stop_its_neighbours(
    folder: Path, record: Make, writer: SqliteStoreWriter, odd: dict[str, int]
) -> None:
    bad = event(record(1, **odd))
    resolutions, letters = writer.index([event(record(0)), bad, event(record(2))])
    assert resolutions == ["stored", "stored"]
    assert [(letter.record, letter.reason) for letter in letters] == [(bad.record, "unstorable")]
    assert SqliteStoreReader(folder).counts() == {("flights", "1", "production", "ok"): 2}


@pytest.mark.parametrize("text", ["", "'; DROP TABLE predictions; --", "zero\x00inside", "żółć 🜁"])
def test_odd_texts_are_stored_and_found(folder: Path, record: Make, writer: SqliteStoreWriter, text: str) -> None:
    writer.index([event(record(1, request_id=text, model_name=text))])
    (found,) = SqliteStoreReader(folder).predictions(PredictionQuery(request_id=text, model_name=text))
    assert (found["request_id"], found["model_name"]) == (text, text)


def received(number: int, day: datetime) -> dict[str, str]:
    text = f"{round(day.timestamp() * 1000):012x}"
    return {"event_id": f"{text[:8]}-{text[8:]}-7000-8000-{number:012x}"}


def test_the_oldest_days_go_when_the_store_is_over_its_limit(folder: Path, record: Make) -> None:
    writer = SqliteStoreWriter(folder, max_bytes=1)
    days = [NOON - timedelta(days=back) for back in (2, 1, 0)]
    writer.index([event(record(number, **received(number, day))) for number, day in enumerate(days)])
    assert writer.expire(NOON) == 2
    assert [path.name for path in folder.glob("*.db")].count(DAY_FILE) == 1
    assert len(list(folder.glob("predictions-*.db"))) == 1
    assert SqliteStoreReader(folder).partition_counts() == {"api-1": PartitionCount(1, 0, 0, 2)}
    writer.close()


def test_a_crash_between_counting_a_day_and_deleting_it_counts_it_once(
    folder: Path, record: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SqliteStoreWriter(folder)
    writer.index([event(record(0)), event(record(1))])
    monkeypatch.setattr(SqliteStoreWriter, "_delete_expired_files", lambda _self: None)
    assert writer.expire(NOON + timedelta(days=40)) == 2
    writer.close()
    monkeypatch.undo()
    assert (folder / DAY_FILE).exists()
    assert SqliteStoreReader(folder).partition_counts() == {"api-1": PartitionCount(0, 0, 0, 2)}
    SqliteStoreWriter(folder).close()
    assert list(folder.glob(f"{DAY_FILE}*")) == []
    assert SqliteStoreReader(folder).partition_counts() == {"api-1": PartitionCount(0, 0, 0, 2)}


def test_readers_see_what_is_committed_while_the_writer_writes(
    folder: Path, record: Make, writer: SqliteStoreWriter
) -> None:
    reader = SqliteStoreReader(folder)
    for number in range(5):
        writer.index([event(record(number))])
        assert reader.counts() == {("flights", "1", "production", "ok"): number + 1}


def test_many_days_in_one_batch_are_all_stored(folder: Path, record: Make, writer: SqliteStoreWriter) -> None:
    days = [NOON - timedelta(days=back) for back in range(9)]
    batch = [event(record(number, **received(number, day))) for number, day in enumerate(days)]
    assert writer.index(batch) == (["stored"] * 9, [])
    assert writer.index(batch) == (["stored"] * 9, [])
    newest = SqliteStoreReader(folder).predictions(PredictionQuery(limit=3))
    assert [document["event_id"] for document in newest] == [batch[number].event.event_id for number in range(3)]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "no_id", ["", "seven", "0190163D-8694-739B-AEA5-966C26F8AD91", "0190163d-8694-439b-aea5-966c26f8ad91", "f" * 36]
)
def test_only_ids_that_the_api_makes_have_a_day(no_id: str) -> None:
    assert day_number(no_id) is None


def test_an_id_beyond_the_calendar_has_no_day() -> None:
    assert day_number("ffffffff-ffff-7000-8000-000000000000") is None


@given(moment=st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 given its zone beside
def test_the_first_id_of_a_moment_parts_earlier_ids_from_later_ones(moment: datetime) -> None:
    milliseconds = int((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
    for step in (-1, 0, 1, 2):
        text = f"{milliseconds + step:012x}"
        event_id = f"{text[:8]}-{text[8:]}-7000-8000-000000000000"
        assert (event_id >= first_id_at(moment)) == (received_at(event_id) >= moment)


def test_an_id_made_now_belongs_to_its_receive_day() -> None:
    (event_id,) = new_event_ids(1)
    number = day_number(event_id)
    assert number is not None
    assert day_of_number(number) == received_at(event_id).date()
