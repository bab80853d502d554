from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.shadow.answers import Reply, Understudy, answer_event, questions
from serving.shadow.start import Start, Starts, begin, next_starts
from streaming.codec import decode, encode
from streaming.errors import LogFullError
from streaming.events import ControlEvent, LabelEvent, PredictionEvent
from streaming.ids import new_event_ids, received_at, sample_position
from streaming.log import LogRecord
from streaming.memory_log import MemoryLog

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WHO = Understudy("churn", "2", "shadow")


def produced(**changes: Any) -> PredictionEvent:
    fields: dict[str, Any] = {
        "event_time": NOW - timedelta(days=1),
        "recorded_at": NOW,
        "event_id": new_event_ids(1)[0],
        "request_id": "r-1",
        "model_name": "churn",
        "model_version": "1",
        "role": "production",
        "row": 3,
        "source": "simulated",
        "features": {"x": 1.5},
    }
    return PredictionEvent(**(fields | changes))


def recorded(*events: PredictionEvent) -> list[LogRecord]:
    return [LogRecord("p", offset, encode(event)) for offset, event in enumerate(events)]


@pytest.mark.parametrize(
    "changes",
    [{"role": "shadow"}, {"role": "direct"}, {"model_name": "other"}, {"model_version": "2"}],
    ids=["a shadow's answer", "a direct call", "another model", "its own answer"],
)
def test_only_production_events_of_other_versions_are_answered(changes: dict[str, Any]) -> None:
    found, unreadable = questions(recorded(produced(**changes), produced()), WHO)

    assert [question.origin.sequence for question in found] == [1]
    assert unreadable == 0


def test_labels_and_control_events_pass_by_and_junk_is_counted() -> None:
    label = LabelEvent(event_time=NOW, recorded_at=NOW, label_id="l", label=1, labelled_at=NOW, event_id="e")
    control = ControlEvent(event_time=NOW, recorded_at=NOW, control_id="c", kind="promoted", model_name="churn")
    values = [encode(label), encode(control), b"\xff{", b"[1]", encode(produced(schema_version=99))]

    found, unreadable = questions([LogRecord("p", 0, value) for value in values], WHO)

    assert (found, unreadable) == ([], 3)


def test_an_answer_stands_beside_its_original_without_its_features() -> None:
    original = produced()
    question = questions(recorded(original), WHO)[0][0]

    event = answer_event(question, WHO, Reply(0.25, 7, "yes", [0.25, 0.75]), ["no", "yes"], recorded_at=NOW)

    assert (event.event_time, event.request_id, event.row, event.source) == (
        original.event_time,
        "r-1",
        3,
        "simulated",
    )
    assert (event.origin_event_id, event.features, event.role) == (original.event_id, None, "shadow")
    assert (event.origin and (event.origin.partition, event.origin.sequence)) == ("p", 0)
    assert (event.prediction, event.probabilities, event.score) == ("yes", {"no": 0.25, "yes": 0.75}, 0.75)
    assert received_at(event.event_id) == received_at(original.event_id)


def test_answering_twice_makes_the_same_id_and_another_version_another() -> None:
    question = questions(recorded(produced()), WHO)[0][0]
    reply = Reply(0.1, 1, 1.0)

    first = answer_event(question, WHO, reply, [], recorded_at=NOW)
    again = answer_event(question, WHO, Reply(0.2, 9, 2.0), [], recorded_at=NOW + timedelta(hours=1))
    other = answer_event(question, Understudy("churn", "3", "shadow"), reply, [], recorded_at=NOW)

    assert first.event_id == again.event_id
    assert first.event_id != other.event_id


@given(st.floats(0, 1))
def test_the_fraction_chooses_by_event_id(fraction: float) -> None:
    events = [produced() for _ in range(20)]

    found, _ = questions(recorded(*events), Understudy("churn", "2", "shadow", fraction))

    expected = [event.event_id for event in events if fraction >= 1 or sample_position(event.event_id) < fraction]
    assert [question.event_id for question in found] == expected


def test_the_first_start_reaches_back_and_a_restart_changes_nothing() -> None:
    first = next_starts(Starts(), WHO, timedelta(hours=2), NOW, new_id="a")

    again = next_starts(first, WHO, timedelta(hours=2), NOW + timedelta(hours=9), new_id="b")

    assert first.versions["2"] == Start("a", NOW - timedelta(hours=2), NOW - timedelta(hours=2), 1.0)
    assert again == first


def test_a_version_that_returns_goes_on_and_is_announced_again() -> None:
    first = next_starts(Starts(), WHO, timedelta(hours=2), NOW, new_id="a")
    other = next_starts(first, Understudy("churn", "3", "shadow"), timedelta(hours=2), NOW, new_id="b")

    back = next_starts(other, WHO, timedelta(hours=2), NOW + timedelta(days=1), new_id="c")

    assert back.versions["2"].control_id == "c"
    assert back.versions["2"].received_from == first.versions["2"].received_from
    assert not back.versions["2"].announced


def test_a_start_is_announced_once_even_when_the_first_try_found_the_log_full(tmp_path: Any) -> None:
    log, path = MemoryLog(max_bytes=100), tmp_path / "starts.json"
    with pytest.raises(LogFullError):
        begin(WHO, path, log.writer(), timedelta(0), now=NOW)

    roomy = MemoryLog()
    kept = begin(WHO, path, roomy.writer(), timedelta(0), now=NOW + timedelta(hours=1))
    begin(WHO, path, roomy.writer(), timedelta(0), now=NOW + timedelta(hours=2))

    events = [decode(record.value) for record in roomy.reader("test").poll(10, 0)]
    assert kept.received_from == NOW
    assert [event.control_id for event in events if isinstance(event, ControlEvent)] == [kept.control_id]
    assert [event.evidence for event in events if isinstance(event, ControlEvent)] == [
        {"received_from": NOW.isoformat(), "fraction": 1.0, "role": "shadow"}
    ]
