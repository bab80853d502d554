"""The proof of no loss, over stores that have lost, doubled or changed something."""

import random
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from prove.callers import Acked, Rows
from prove.stored import Account, Promised, compare

from streaming.codec import encode
from streaming.events import Event, LabelEvent, PredictionEvent
from streaming.ids import derived_event_id, new_event_ids
from streaming.log import LogRecord
from streaming.sqlite import SqliteStoreWriter
from streaming.store import IndexedEvent

NOW = datetime.now(UTC)
SPAN = (NOW - timedelta(seconds=3), NOW + timedelta(minutes=5))
IDS = new_event_ids(5)


def production(number: int, request_id: str, row: int) -> PredictionEvent:
    return PredictionEvent(
        event_time=NOW,
        recorded_at=NOW,
        event_id=IDS[number],
        request_id=request_id,
        row=row,
        model_name="flights",
        model_version="1",
        role="production",
        prediction="1",
        probabilities={"0": 0.25, "1": 0.75},
        features={"distance": float(number), "origin": "日本"},
    )


def shadow(number: int) -> PredictionEvent:
    event_id = derived_event_id(IDS[number], "flights", "2", "http", "")
    answer = msgspec.structs.replace(production(number, "a", 0), event_id=event_id, role="shadow", model_version="2")
    return msgspec.structs.replace(answer, features=None, origin_event_id=IDS[number])


def label(number: int, label_id: str) -> LabelEvent:
    return LabelEvent(
        event_time=NOW, recorded_at=NOW, label_id=label_id, label=1, labelled_at=NOW, event_id=IDS[number]
    )


PRODUCTION = [production(0, "a", 0), production(1, "b", 0), production(2, "b", 1)]
STORED: list[Event] = [*PRODUCTION, *map(shadow, range(3)), label(1, IDS[3])]
PROMISED = Promised(
    sent={"a": 1, "b": 2},
    acked={
        event.event_id: Acked(event.request_id, event.row, event.features, "1", "1", event.probabilities)
        for event in PRODUCTION
    },
    labelled={IDS[1]: ("1", NOW.isoformat())},
)


def account_of(folder: Path, events: Sequence[Event], promised: Promised = PROMISED) -> Account:
    with closing(SqliteStoreWriter(folder, retention_days=9, max_bytes=10**9, clock=lambda: NOW)) as store:
        store.index([IndexedEvent(LogRecord("p", place, encode(event)), event) for place, event in enumerate(events)])
    account = compare(promised, folder, SPAN, "2")
    return replace(account, examples=[])


def test_all_that_was_promised_is_found(tmp_path: Path) -> None:
    assert account_of(tmp_path, STORED) == Account(stored=3)


def test_a_lost_row_leaves_half_a_request(tmp_path: Path) -> None:
    assert account_of(tmp_path, [event for event in STORED if event is not PRODUCTION[2]]) == Account(
        stored=2, lost=1, half_requests=1
    )


@pytest.mark.parametrize(
    "change",
    [
        {"prediction": "0"},
        {"features": {"distance": 0.0}},
        {"model_version": "3"},
        {"probabilities": None},
        {"outcome": "error"},
    ],
)
def test_a_row_stored_differently_is_seen(tmp_path: Path, change: dict[str, object]) -> None:
    changed = msgspec.structs.replace(PRODUCTION[0], **change)

    assert account_of(tmp_path, [changed, *STORED[1:]]).differing == 1


def test_a_missing_shadow_answer_is_seen(tmp_path: Path) -> None:
    assert account_of(tmp_path, [*STORED[:3], *STORED[4:]]) == Account(stored=3, answers_missing=1)


def test_a_second_shadow_answer_is_seen(tmp_path: Path) -> None:
    again = msgspec.structs.replace(shadow(0), event_id=derived_event_id(IDS[0], "another run"))

    assert account_of(tmp_path, [*STORED, again]) == Account(stored=3, answers_duplicated=1)


def test_labels_are_counted_both_ways(tmp_path: Path) -> None:
    assert account_of(tmp_path / "none", STORED[:-1]) == Account(stored=3, labels_lost=1)
    assert account_of(tmp_path / "two", [*STORED, label(1, IDS[4])]) == Account(stored=3, labels_duplicated=1)


def test_a_request_nobody_was_answered_may_be_there_whole_or_not_at_all(tmp_path: Path) -> None:
    unanswered = replace(PROMISED, sent={**PROMISED.sent, "c": 1, "d": 3})
    whole = [production(3, "c", 0), shadow(3)]

    assert account_of(tmp_path, [*STORED, *whole], unanswered) == Account(stored=4, unacked=1)


def test_a_caller_never_sends_the_same_row_twice() -> None:
    columns = [{"name": "x", "type": "float", "nullable": True}, {"name": "s", "type": "string", "nullable": True}]
    rows = Rows(columns, {"x": 1.0, "s": "a"}, random.Random(1), 0)

    made = [rows.next() for _ in range(50)]

    assert len({row["x"] for row in made}) == 50
    assert None in {row["s"] for row in made}
