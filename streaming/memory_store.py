"""The event store in memory: the twin that tests and small tools use, with the meaning of the real ones.

It keeps every promise of `streaming.store` except durability. Writer and reader are one object.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from streaming.events import ControlEvent, Event, LabelEvent, PredictionEvent, id_of
from streaming.ids import received_at, sample_position
from streaming.store import (
    DeadLetter,
    IndexedEvent,
    MissingAnswer,
    PartitionCount,
    PredictionQuery,
    Resolution,
)

_Place = tuple[str, int]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class MemoryStore:
    """StoreWriter and StoreReader in one. Not thread-safe."""

    def __init__(self, *, retention_days: int = 30, clock: Callable[[], datetime] = _utc_now) -> None:
        self._retention_days = retention_days
        self._clock = clock
        self._events: dict[str, IndexedEvent] = {}
        self._duplicates: dict[_Place, str] = {}
        self._letters: dict[_Place, DeadLetter] = {}
        self._expired: set[_Place] = set()
        self._expired_days: set[date] = set()

    def index(self, events: Sequence[IndexedEvent]) -> tuple[list[Resolution], list[DeadLetter]]:
        """Stores each event once; refuses those whose id is no UUID."""
        resolutions: list[Resolution] = []
        letters: list[DeadLetter] = []
        for event in events:
            try:
                day = received_at(id_of(event.event)).date()
            except (ValueError, OverflowError) as error:
                letters.append(DeadLetter(event.record, "unstorable", str(error), self._clock()))
                continue
            resolutions.append(self._take(event, day))
            self._letters.pop(_place(event), None)
        return resolutions, letters

    def set_aside(self, letters: Sequence[DeadLetter]) -> None:
        """Keeps dead letters, one a record."""
        for letter in letters:
            place = (letter.record.partition, letter.record.offset)
            first = self._letters.get(place, letter)
            self._letters[place] = letter._replace(record=first.record, recorded_at=first.recorded_at)

    def expire(self, now: datetime) -> int:
        """Forgets predictions and labels of days past retention."""
        oldest_kept = now.astimezone(UTC).date() - timedelta(days=self._retention_days)
        going = {
            event_id: event
            for event_id, event in self._events.items()
            if not isinstance(event.event, ControlEvent) and received_at(event_id).date() < oldest_kept
        }
        places = {_place(event) for event in going.values()}
        places |= {place for place, event_id in self._duplicates.items() if event_id in going}
        self._expired |= places
        self._expired_days |= {received_at(event_id).date() for event_id in going}
        self._events = {event_id: event for event_id, event in self._events.items() if event_id not in going}
        self._duplicates = {place: event_id for place, event_id in self._duplicates.items() if place not in places}
        return len(places)

    def predictions(self, query: PredictionQuery) -> list[dict[str, Any]]:
        """Prediction events as plain documents, newest first by receive time."""
        found = [item for item in self._newest_first() if _matches(item.event, query)]
        return [_document(item) for item in found[: query.limit]]

    def labels(self, event_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Labels of these events, named by event id or by request id and row; the one known last comes first."""
        named = [self._events[event_id].event for event_id in event_ids if event_id in self._events]
        asked = [event for event in named if isinstance(event, PredictionEvent)]
        found = [
            (item.event.labelled_at, item.event.label_id, item)
            for item in self._events.values()
            if isinstance(item.event, LabelEvent) and _labels_one_of(item.event, event_ids, asked)
        ]
        return [_document(item) for _, _, item in sorted(found, key=lambda entry: entry[:2], reverse=True)]

    def controls(
        self, *, kind: str | None = None, model_name: str | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Control events, newest first."""
        found = [
            item
            for item in self._newest_first()
            if isinstance(item.event, ControlEvent)
            and kind in (None, item.event.kind)
            and model_name in (None, item.event.model_name)
        ]
        return [_document(item) for item in found[:limit]]

    def counts(self) -> dict[tuple[str, str, str, str], int]:
        """Stored prediction events by (model name, model version, role, outcome)."""
        return dict(
            Counter(
                (event.model_name, event.model_version, event.role, event.outcome)
                for _, event in self._events.values()
                if isinstance(event, PredictionEvent)
            )
        )

    def partition_counts(self) -> Mapping[str, PartitionCount]:
        """How the events of each log partition ended."""
        endings = (map(_place, self._events.values()), self._duplicates, self._letters, self._expired)
        counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for column, places in enumerate(endings):
            for partition, _ in places:
                counts[partition][column] += 1
        return {partition: PartitionCount(*numbers) for partition, numbers in counts.items()}

    def missing_shadow(
        self, model_name: str, model_version: str, *, received_from: datetime, fraction: float = 1.0
    ) -> list[MissingAnswer]:
        """Production events that this version has not answered in the shadow."""
        events = [item.event for item in self._events.values()]
        answered = {
            event.origin_event_id
            for event in events
            if isinstance(event, PredictionEvent)
            and (event.model_name, event.model_version, event.role) == (model_name, model_version, "shadow")
        }
        return [
            MissingAnswer(event_id, record.partition, record.offset)
            for event_id, (record, event) in self._events.items()
            if isinstance(event, PredictionEvent)
            and (event.model_name, event.role) == (model_name, "production")
            and event.model_version != model_version
            and event_id not in answered
            and received_at(event_id) >= received_from
            and sample_position(event_id) < fraction
        ]

    def dead_letters(self, *, limit: int = 100) -> list[DeadLetter]:
        """The oldest dead letters first."""
        letters = sorted(self._letters.values(), key=lambda letter: (letter.recorded_at, letter.record[:2]))
        return letters[:limit]

    def close(self) -> None:
        """Keeps what it has: a test may look at it afterwards."""

    def _take(self, item: IndexedEvent, day: date) -> Resolution:
        event_id, place = id_of(item.event), _place(item)
        if day in self._expired_days and not isinstance(item.event, ControlEvent):
            self._expired.add(place)
            return "stored"
        stored = self._events.setdefault(event_id, item)
        if _place(stored) == place:
            return "stored"
        self._duplicates[place] = event_id
        return "duplicate"

    def _newest_first(self) -> list[IndexedEvent]:
        return [item for _, item in sorted(self._events.items(), reverse=True)]


def _place(item: IndexedEvent) -> _Place:
    return item.record.partition, item.record.offset


def _document(item: IndexedEvent) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.json.decode(item.record.value)
    return document


def _matches(event: Event, query: PredictionQuery) -> bool:
    if not isinstance(event, PredictionEvent):
        return False
    wanted = query._asdict()
    received = received_at(event.event_id)
    return (
        all(wanted[name] in (None, getattr(event, name)) for name in _EXACT)
        and (query.received_from is None or received >= query.received_from)
        and (query.received_to is None or received < query.received_to)
    )


_EXACT = ("model_name", "model_version", "role", "event_id", "request_id", "origin_event_id")


def _labels_one_of(label: LabelEvent, event_ids: Sequence[str], asked: Sequence[PredictionEvent]) -> bool:
    if label.event_id is not None:
        return label.event_id in event_ids
    return any(
        (event.request_id, event.row) == (label.request_id, label.row) and label.model_name in (None, event.model_name)
        for event in asked
    )
