"""What callers were told, looked for in the event store."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from prove.callers import Acked, Memory
from streaming.sqlite import SqliteStoreReader
from streaming.store import PredictionQuery

WINDOW = timedelta(seconds=2)
ALL = 10_000_000
NAMED = 5


@dataclass(frozen=True)
class Promised:
    """What all callers together sent and were told."""

    sent: Mapping[str, int]
    acked: Mapping[str, Acked]
    labelled: Mapping[str, tuple[str, str]]

    @classmethod
    def by(cls, memories: Sequence[Memory]) -> "Promised":
        """Puts the callers' memories together; their request ids never meet."""
        return cls(
            {request: rows for memory in memories for request, rows in memory.sent.items()},
            {event_id: acked for memory in memories for event_id, acked in memory.acked.items()},
            {event_id: label for memory in memories for event_id, label in memory.labelled.items()},
        )


@dataclass
class Account:
    """What the store has of it; every field but the first two must be 0.

    Attributes:
        stored: Production events found.
        unacked: Of those, rows whose caller got no answer.
        examples: A few sentences on what is wrong.
    """

    stored: int = 0
    unacked: int = 0
    lost: int = 0
    duplicated: int = 0
    differing: int = 0
    half_requests: int = 0
    answers_missing: int = 0
    answers_duplicated: int = 0
    labels_lost: int = 0
    labels_duplicated: int = 0
    examples: list[str] = field(default_factory=list)

    def example(self, text: str) -> None:
        """Keeps the first few."""
        if len(self.examples) < NAMED:
            self.examples.append(text)


def compare(promised: Promised, store: Path, span: tuple[datetime, datetime], shadow_version: str) -> Account:
    """Looks for every promise in the store.

    Args:
        promised: What the callers remember.
        store: Folder of the event store.
        span: Receive times in which everything was sent, UTC.
        shadow_version: The version that owes an answer to every production event.
    """
    reader, account = SqliteStoreReader(store), Account()
    times_stored: Counter[str] = Counter()
    rows_of: defaultdict[str, list[int]] = defaultdict(list)
    for start, end in _windows(*span):
        window = PredictionQuery(received_from=start, received_to=end, limit=ALL)
        events = reader.predictions(window._replace(role="production"))
        answers = reader.predictions(window._replace(role="shadow", model_version=shadow_version))
        for event in events:
            times_stored[event["event_id"]] += 1
            rows_of[event["request_id"]].append(event.get("row", 0))
            _compare_event(event, promised, account)
        _compare_answers(events, answers, account)
    _compare_requests(rows_of, promised, times_stored, account)
    _compare_labels(reader, promised, account)
    return account


def _windows(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while start < end:
        yield start, min(start + WINDOW, end)
        start += WINDOW


def _compare_event(event: Mapping[str, Any], promised: Promised, account: Account) -> None:
    account.stored += 1
    acked = promised.acked.get(event["event_id"])
    if acked is None:
        account.unacked += 1
        return
    found = Acked(
        event["request_id"],
        event.get("row", 0),
        event["features"],
        event["model_version"],
        event["prediction"],
        event.get("probabilities"),
    )
    if found != acked or event.get("outcome", "ok") != "ok":
        account.differing += 1
        account.example(f"stored {found}, acked {acked}")


def _compare_answers(
    events: Sequence[Mapping[str, Any]], answers: Sequence[Mapping[str, Any]], account: Account
) -> None:
    """An answer's id bears its origin's receive time, so that both are in one window."""
    times = Counter(answer["origin_event_id"] for answer in answers)
    for event in events:
        count = times[event["event_id"]]
        account.answers_missing += count == 0
        account.answers_duplicated += count > 1
        if count != 1:
            account.example(f"event {event['event_id']} has {count} shadow answers")


def _compare_requests(
    rows_of: Mapping[str, list[int]], promised: Promised, times_stored: Counter[str], account: Account
) -> None:
    account.lost = len(promised.acked.keys() - times_stored.keys())
    account.duplicated = sum(count > 1 for count in times_stored.values())
    for event_id in list(promised.acked.keys() - times_stored.keys())[:NAMED]:
        account.example(f"event {event_id} was acked and is not stored")
    for request_id, rows in rows_of.items():
        if sorted(rows) != list(range(promised.sent[request_id])):
            account.half_requests += 1
            account.example(f"request {request_id} of {promised.sent[request_id]} rows has rows {sorted(rows)}")


def _compare_labels(reader: SqliteStoreReader, promised: Promised, account: Account) -> None:
    found: Counter[tuple[str, str, datetime]] = Counter(
        (label["event_id"], str(label["label"]), datetime.fromisoformat(label["labelled_at"]))
        for label in reader.labels([*promised.labelled])
    )
    for event_id, (label, labelled_at) in promised.labelled.items():
        count = found[event_id, label, datetime.fromisoformat(labelled_at)]
        account.labels_lost += count == 0
        account.labels_duplicated += count > 1
        if count != 1:
            account.example(f"label {label} of event {event_id} is stored {count} times")
