"""What the indexer does between batches, and what it reads again at its start."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from streaming.errors import StoreUnavailableError
from streaming.housekeeping import Housekeeping
from streaming.indexer import Indexer
from streaming.log import LogRecord
from streaming.memory_log import MemoryLog
from streaming.recovery import GivenUp, read_again
from streaming.settings import StreamingSettings
from streaming.sqlite import SqliteStoreReader, SqliteStoreWriter

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
Make = Callable[..., LogRecord]


class Clock:
    now = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Rounds:
    """Housekeeping over a memory log and a real store, its clock in the test's hand."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.settings = StreamingSettings(data_dir=folder, log_reserve_bytes=0, _env_file=None)
        self.store = SqliteStoreWriter(self.settings.store_dir, clock=self.clock)
        self.indexer = Indexer(self.store, clock=self.clock)
        self.log = MemoryLog()
        self.reader = self.log.reader("indexer")
        self.keep_house = Housekeeping(self.settings, self.store, self.indexer, self.reader, self.clock)


@pytest.fixture
def rounds(tmp_path: Path) -> Iterator[Rounds]:
    made = Rounds(tmp_path)
    made.settings.log_dir.mkdir()
    yield made
    made.store.close()


def metric(name: str) -> float:
    value = REGISTRY.get_sample_value(name)
    assert value is not None
    return value


def test_old_days_go_at_the_next_round(rounds: Rounds, record: Make) -> None:
    rounds.indexer([record(0)])
    rounds.keep_house()
    assert SqliteStoreReader(rounds.settings.store_dir).partition_counts() == {"api-1": (1, 0, 0, 0)}
    before = metric("store_expired_events_total")
    rounds.clock.advance(40 * 86_400)
    rounds.keep_house()
    assert SqliteStoreReader(rounds.settings.store_dir).partition_counts() == {"api-1": (0, 0, 0, 1)}
    assert metric("store_expired_events_total") - before == 1


def test_rounds_are_at_least_two_seconds_apart_even_when_the_clock_is_set_back(rounds: Rounds) -> None:
    request = rounds.settings.store_dir / "redrive-1.request"
    done = []
    for seconds in (0.0, 1.0, 1.5, -3600.0, 1.0, 1.5):
        rounds.clock.advance(seconds)
        request.touch()
        rounds.keep_house()
        done.append(not request.exists())
    assert done == [True, False, True, True, False, True]


def test_lag_is_the_age_of_the_newest_event_while_there_is_more_to_read(rounds: Rounds, record: Make) -> None:
    writer = rounds.log.writer()
    writer.append([[record(0).value], [record(1).value]])
    rounds.indexer(rounds.reader.poll(1, 0.0))
    rounds.clock.advance(7)
    rounds.keep_house()
    assert metric("event_lag_seconds") == 7.0
    rounds.reader.commit({batch.partition: 2 for batch in rounds.reader.poll(1, 0.0)})
    rounds.clock.advance(7)
    rounds.keep_house()
    assert metric("event_lag_seconds") == 0.0


def test_a_fault_of_one_round_does_not_stop_the_indexer(rounds: Rounds, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_now: datetime) -> int:
        raise StoreUnavailableError("disk full")

    monkeypatch.setattr(rounds.store, "expire", away)
    rounds.keep_house()
    monkeypatch.undo()
    request = rounds.settings.store_dir / "redrive-1.request"
    request.touch()
    rounds.clock.advance(2)
    rounds.keep_house()
    assert not request.exists()


def test_only_what_lies_before_the_committed_offset_is_read_again() -> None:
    log = MemoryLog()
    short, whole = log.writer(), log.writer()
    short.append([[b"a"], [b"b"], [b"c"]])
    whole.append([[b"x"]])
    reader = log.reader("again")
    names = {record.value: record.partition for record in log.reader("names").poll(10, 0.0)}
    taken: list[bytes] = []

    def effect(records: Sequence[LogRecord], /) -> None:
        taken.extend(record.value for record in records)

    read_again(reader, effect, {names[b"a"]: 2})
    assert taken == [b"a", b"b"]
    assert not any(reader.committed().values())


def test_reading_again_ends_although_others_go_on_writing() -> None:
    log = MemoryLog()
    writer = log.writer()

    class Endless:
        def poll(self, _max_records: int, _timeout_seconds: float) -> list[LogRecord]:
            return [LogRecord("busy", 5, b"new")]

    writer.close()
    read_again(Endless(), lambda _records, /: None, {"gone": 3})  # type: ignore[arg-type]


def test_what_was_given_up_is_not_tried_again_until_it_changes(tmp_path: Path) -> None:
    given_up = GivenUp(tmp_path / "given-up.json")
    assert given_up.new_among({"a": 2}) == {"a": 2}
    given_up.write({"a": 2})
    assert given_up.new_among({"a": 2}) == {}
    assert given_up.new_among({"a": 3, "b": 1}) == {"a": 3, "b": 1}
    (tmp_path / "given-up.json").write_bytes(b"\x00torn")
    assert given_up.new_among({"a": 2}) == {"a": 2}
