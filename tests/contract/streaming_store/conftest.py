"""The stores under contract and the events they are given.

A further store joins by adding a `StoreUnderTest` to `store`: `settle` waits until what was written can be read
(nothing to wait for here; a refresh for a search engine).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from streaming.codec import encode
from streaming.events import ControlEvent, Event, LabelEvent, PredictionEvent
from streaming.ids import derived_event_id
from streaming.log import LogRecord
from streaming.memory_store import MemoryStore
from streaming.sqlite import SqliteStoreReader, SqliteStoreWriter
from streaming.store import IndexedEvent, StoreReader, StoreWriter

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def event_id_at(moment: datetime, number: int) -> str:
    """An id received at `moment`, distinct by `number`."""
    text = f"{round(moment.timestamp() * 1000):012x}"
    return f"{text[:8]}-{text[8:]}-7000-8000-{number:012x}"


@dataclass
class Events:
    """Makes events and gives each the next place in a partition."""

    now: datetime = NOON
    offsets: dict[str, int] = field(default_factory=dict)

    def at(self, event: Event, partition: str = "api-1") -> IndexedEvent:
        offset = self.offsets.get(partition, 0)
        self.offsets[partition] = offset + 1
        return IndexedEvent(LogRecord(partition, offset, encode(event)), event)

    def prediction(self, number: int, partition: str = "api-1", **fields: Any) -> IndexedEvent:
        return self.at(self.prediction_event(number, **fields), partition)

    def prediction_event(self, number: int, **fields: Any) -> PredictionEvent:
        received: datetime = fields.pop("received", self.now)
        given: dict[str, Any] = {
            "event_time": received,
            "recorded_at": received,
            "event_id": event_id_at(received, number),
            "request_id": f"request-{number}",
            "model_name": "flights",
            "model_version": "1",
            "role": "production",
            "prediction": "1",
            "features": {"distance": 100.0 + number},
        }
        return PredictionEvent(**(given | fields))

    def shadow(self, original: IndexedEvent, version: str = "2", partition: str = "shadow-1") -> IndexedEvent:
        assert isinstance(original.event, PredictionEvent)
        event = PredictionEvent(
            event_time=original.event.event_time,
            recorded_at=original.event.recorded_at,
            event_id=derived_event_id(original.event.event_id, "flights", version, "http", ""),
            request_id=original.event.request_id,
            model_name="flights",
            model_version=version,
            role="shadow",
            prediction="0",
            origin_event_id=original.event.event_id,
        )
        return self.at(event, partition)

    def label(self, number: int, partition: str = "api-1", **fields: Any) -> IndexedEvent:
        received: datetime = fields.pop("received", self.now)
        given: dict[str, Any] = {
            "event_time": received,
            "recorded_at": received,
            "label_id": event_id_at(received, number),
            "label": 1,
            "labelled_at": received,
        }
        return self.at(LabelEvent(**(given | fields)), partition)

    def control(self, number: int, partition: str = "monitor-1", **fields: Any) -> IndexedEvent:
        received: datetime = fields.pop("received", self.now)
        given: dict[str, Any] = {
            "event_time": received,
            "recorded_at": received,
            "control_id": event_id_at(received, number),
            "kind": "promoted",
            "model_name": "flights",
        }
        return self.at(ControlEvent(**(given | fields)), partition)


@dataclass
class StoreUnderTest:
    writer: StoreWriter
    reader: StoreReader
    settle: Callable[[], None] = lambda: None


def _memory(_folder: Path) -> StoreUnderTest:
    store = MemoryStore(retention_days=30, clock=lambda: NOON)
    return StoreUnderTest(store, store)


def _sqlite(folder: Path) -> StoreUnderTest:
    writer = SqliteStoreWriter(folder, retention_days=30, clock=lambda: NOON)
    return StoreUnderTest(writer, SqliteStoreReader(folder))


@pytest.fixture(params=[_memory, _sqlite], ids=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreUnderTest]:
    made: StoreUnderTest = request.param(tmp_path / "store")
    yield made
    made.writer.close()
    made.reader.close()


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture(scope="session")
def pool() -> list[IndexedEvent]:
    """Events of two days and all kinds, one that cannot be stored, some recorded twice in the log."""
    events = Events()
    made = [events.prediction(number, received=NOON + timedelta(hours=number * 3)) for number in range(8)]
    made += [events.shadow(original) for original in made[:4]]
    made += [events.label(50, event_id="x"), events.control(60), events.prediction(70, event_id="seventy")]
    return made + [events.at(made[index].event, "api-2") for index in (0, 5, 9, 12, 13)]
