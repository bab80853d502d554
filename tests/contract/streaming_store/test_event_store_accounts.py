"""How every event store accounts for what it sets aside and what it lets expire."""

from datetime import UTC, datetime, timedelta
from typing import Any

from streaming.log import LogRecord
from streaming.store import DeadLetter, IndexedEvent, PartitionCount, PredictionQuery

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def put(store: Any, *events: IndexedEvent) -> list[str]:
    resolutions, letters = store.writer.index(events)
    assert letters == []
    store.settle()
    return list(resolutions)


def letter(partition: str, offset: int, **fields: Any) -> DeadLetter:
    given: dict[str, Any] = {"reason": "corrupt_event", "detail": "not an event", "recorded_at": NOON}
    return DeadLetter(LogRecord(partition, offset, b"junk"), **(given | fields))


def test_a_dead_letter_is_kept_once_with_its_newest_reason(store: Any) -> None:
    store.writer.set_aside([letter("api-1", 5)])
    store.writer.set_aside([letter("api-1", 5, detail="still no event"), letter("api-1", 4)])
    store.settle()
    assert {(5, "still no event"), (4, "not an event")} == {
        (kept.record.offset, kept.detail) for kept in store.reader.dead_letters()
    }
    assert store.reader.dead_letters()[0].record.value == b"junk"
    assert {"api-1": PartitionCount(0, 0, 2, 0)} == store.reader.partition_counts()


def test_dead_letters_come_oldest_first(store: Any) -> None:
    later = letter("a", 1, recorded_at=NOON + timedelta(seconds=1))
    store.writer.set_aside([later, letter("b", 9)])
    store.settle()
    assert [kept.record.partition for kept in store.reader.dead_letters(limit=1)] == ["b"]


def test_an_event_stored_after_all_is_no_dead_letter_any_more(store: Any, events: Any) -> None:
    written = events.prediction(1)
    store.writer.set_aside([letter("api-1", 0), letter("api-1", 1)])
    put(store, written)
    assert [kept.record.offset for kept in store.reader.dead_letters()] == [1]
    assert {"api-1": PartitionCount(1, 0, 1, 0)} == store.reader.partition_counts()


def test_expired_days_are_gone_but_still_accounted_for(store: Any, events: Any) -> None:
    old, kept = events.prediction(1), events.prediction(2, received=NOON + timedelta(days=1))
    put(store, old, events.at(old.event, "api-2"), events.label(3), kept, events.control(4))
    assert store.writer.expire(NOON + timedelta(days=31)) == 3
    store.settle()
    assert [kept.event.event_id] == [found["event_id"] for found in store.reader.predictions(PredictionQuery())]
    assert len(store.reader.controls()) == 1
    assert {
        "api-1": PartitionCount(1, 0, 0, 2),
        "api-2": PartitionCount(0, 0, 0, 1),
        "monitor-1": PartitionCount(1, 0, 0, 0),
    } == dict(store.reader.partition_counts())
    assert store.writer.expire(NOON + timedelta(days=31)) == 0


def test_a_day_within_retention_does_not_expire(store: Any, events: Any) -> None:
    put(store, events.prediction(1))
    assert store.writer.expire(NOON + timedelta(days=30, hours=11)) == 0


def test_what_comes_for_an_expired_day_is_counted_once_and_not_stored(store: Any, events: Any) -> None:
    first, repeated = events.prediction(1), events.prediction(2)
    put(store, first, repeated)
    store.writer.expire(NOON + timedelta(days=31))
    late = events.prediction(3)
    assert put(store, repeated, late) == ["stored", "stored"]
    assert put(store, late) == ["stored"]
    assert {"api-1": PartitionCount(0, 0, 0, 3)} == store.reader.partition_counts()
    assert store.reader.predictions(PredictionQuery()) == []


def test_a_dead_letter_of_an_expired_day_redriven_counts_as_expired_once(store: Any, events: Any) -> None:
    dead, good = events.prediction(1), events.prediction(2)
    store.writer.set_aside([letter("api-1", 0)])
    put(store, good)
    store.writer.expire(NOON + timedelta(days=31))
    put(store, dead)
    put(store, dead)
    assert {"api-1": PartitionCount(0, 0, 0, 2)} == store.reader.partition_counts()
