"""The indexer: what is stored, what is set aside, and when it stops."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec
import pytest

from streaming.codec import encode
from streaming.deadletter import redrive
from streaming.errors import StoreRefusedError, StoreUnavailableError
from streaming.indexer import Indexer
from streaming.log import LogRecord
from streaming.memory_store import MemoryStore
from streaming.private_columns import withhold_private
from streaming.store import DeadLetter, IndexedEvent, PredictionQuery, Resolution

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
Make = Callable[..., LogRecord]


def junk(offset: int) -> LogRecord:
    return LogRecord("api-1", offset, b"junk")


def indexer(store: MemoryStore, **limits: int) -> Indexer:
    return Indexer(store, clock=lambda: NOON, **limits)  # type: ignore[arg-type]


def test_good_records_are_stored_and_corrupt_ones_set_aside(record: Make) -> None:
    store = MemoryStore()
    indexer(store)([record(0), junk(1), record(2)])
    assert store.partition_counts() == {"api-1": (2, 0, 1, 0)}
    (letter,) = store.dead_letters()
    assert (letter.reason, letter.record, letter.recorded_at) == ("corrupt_event", junk(1), NOON)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b'{"type":"prediction"}',
        b'{"type":"nonsense"}',
        b'{"type":"prediction","features":' + b"[" * 100_000,
    ],
)
def test_no_bytes_can_stop_the_indexer(value: bytes) -> None:
    store = MemoryStore()
    indexer(store)([LogRecord("api-1", 0, value)])
    assert [letter.record.value for letter in store.dead_letters()] == [value]


def test_an_event_of_a_newer_schema_is_set_aside_with_the_way_out(
    prediction: Callable[..., msgspec.Struct],
) -> None:
    store = MemoryStore()
    newer = LogRecord("api-1", 0, encode(prediction(1, schema_version=99)))  # type: ignore[arg-type]
    indexer(store)([newer])
    assert "upgrade this reader" in store.dead_letters()[0].detail


def test_too_many_dead_letters_in_a_row_stop_it_before_they_are_set_aside(record: Make) -> None:
    store = MemoryStore()
    index = indexer(store, max_consecutive_dead_letters=3)
    index([record(0), junk(1), junk(2)])
    with pytest.raises(StoreRefusedError, match="MAX_CONSECUTIVE_DEAD_LETTERS"):
        index([junk(3), record(4)])
    assert [letter.record.offset for letter in store.dead_letters()] == [1, 2]
    with pytest.raises(StoreRefusedError):
        index([junk(3), record(4)])


def test_a_good_event_between_dead_letters_begins_the_count_anew(record: Make) -> None:
    store = MemoryStore()
    index = indexer(store, max_consecutive_dead_letters=3)
    for start in range(0, 30, 3):
        index([junk(start), junk(start + 1), record(start + 2)])
    assert store.partition_counts() == {"api-1": (10, 0, 20, 0)}


class _AwayOnce(MemoryStore):
    """A store that is away at the moment the letters are kept."""

    away = True

    def set_aside(self, letters: Sequence[DeadLetter]) -> None:
        if self.away:
            self.away = False
            raise StoreUnavailableError("away")
        super().set_aside(letters)


def test_a_batch_offered_again_counts_its_dead_letters_once(record: Make) -> None:
    store = _AwayOnce()
    index = indexer(store, max_consecutive_dead_letters=2)
    batch = [record(0), junk(1)]
    with pytest.raises(StoreUnavailableError):
        index(batch)
    index(batch)
    assert index.dead_in_a_row == 1
    assert store.partition_counts() == {"api-1": (1, 0, 1, 0)}


def test_private_columns_reach_neither_store_nor_dead_letters(record: Make) -> None:
    store = MemoryStore()
    no_event = LogRecord("api-1", 1, b'{"features":{"passenger":"Ada","distance":1}}')
    no_json = LogRecord("api-1", 2, b'{"passenger":"Ada"')
    bad_id = record(3, event_id="three")
    Indexer(store, frozenset({"passenger"}))([record(0), no_event, no_json, bad_id])
    (document,) = store.predictions(PredictionQuery())
    assert document["features"] == {"distance": 100.0}
    kept = {letter.record.offset: letter.record.value for letter in store.dead_letters()}
    assert kept.keys() == {1, 2, 3}
    assert not any(b"Ada" in value for value in kept.values())
    assert kept[1] == b'{"features":{"distance":1}}'


def test_without_private_columns_odd_bytes_are_kept_as_they_are() -> None:
    assert withhold_private(b"\xffodd", frozenset()) == b"\xffodd"
    assert withhold_private(b"[" * 100_000, frozenset({"a"})) == b""


class _Strict(MemoryStore):
    """A store that refuses everything until its mapping is mended."""

    mended = False

    def index(self, events: Sequence[IndexedEvent]) -> tuple[list[Resolution], list[DeadLetter]]:
        if self.mended:
            return super().index(events)
        return [], [DeadLetter(event.record, "mapping", "no such field", NOON) for event in events]


def test_redriven_letters_are_stored_once_their_cause_is_mended(record: Make) -> None:
    store = _Strict()
    indexer(store)([record(0), junk(1), record(2)])
    assert store.partition_counts() == {"api-1": (0, 0, 3, 0)}
    store.mended = True
    report = redrive(store, store.dead_letters(), frozenset(), NOON)
    assert (report.offered, report.stored, report.duplicates, report.still_dead) == (3, 2, 0, 1)
    assert store.partition_counts() == {"api-1": (2, 0, 1, 0)}
    assert redrive(store, store.dead_letters(), frozenset(), NOON).still_dead == 1
