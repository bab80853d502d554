"""What every event store promises."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest

from streaming.ids import sample_position
from streaming.store import (
    IndexedEvent,
    PartitionCount,
    PredictionQuery,
    StoreReader,
    StoreWriter,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)


class Store(Protocol):
    writer: StoreWriter
    reader: StoreReader

    def settle(self) -> None: ...


def put(store: Store, *events: IndexedEvent) -> list[str]:
    resolutions, letters = store.writer.index(events)
    assert letters == []
    store.settle()
    return list(resolutions)


def ids(documents: Sequence[dict[str, Any]]) -> list[str]:
    return [document["event_id"] for document in documents]


def id_of(item: IndexedEvent) -> str:
    event_id: str = item.event.event_id  # type: ignore[union-attr, assignment]
    return event_id


def test_an_empty_store_answers_every_question_with_nothing(store: Store) -> None:
    assert store.reader.predictions(PredictionQuery()) == []
    assert store.reader.labels(["x"]) == []
    assert store.reader.controls() == []
    assert store.reader.dead_letters() == []
    assert store.reader.missing_shadow("flights", "2", received_from=NOON) == []
    assert store.reader.counts() == {}
    assert store.reader.partition_counts() == {}


def test_indexing_nothing_is_allowed(store: Store) -> None:
    assert store.writer.index([]) == ([], [])
    store.writer.set_aside([])


def test_a_prediction_is_found_again_as_it_was_written(store: Store, events: Any) -> None:
    written = events.prediction(1, probabilities={"0": 0.25, "1": 0.75}, score=0.75)
    assert put(store, written) == ["stored"]
    (document,) = store.reader.predictions(PredictionQuery(event_id=id_of(written)))
    assert document["features"] == {"distance": 101.0}
    assert document["probabilities"] == {"0": 0.25, "1": 0.75}
    assert document["@timestamp"] == "2026-11-21T12:00:00Z"
    assert document["type"] == "prediction"


def test_the_same_record_offered_again_is_stored_and_counted_once(store: Store, events: Any) -> None:
    written = events.prediction(1)
    assert put(store, written) == ["stored"]
    assert put(store, written, written) == ["stored", "stored"]
    assert store.reader.counts() == {("flights", "1", "production", "ok"): 1}
    assert {"api-1": PartitionCount(1, 0, 0, 0)} == store.reader.partition_counts()


def test_an_id_from_another_record_is_a_duplicate_counted_once_however_often_offered(store: Store, events: Any) -> None:
    first = events.prediction(1)
    second = events.at(first.event, "api-2")
    assert put(store, first, second) == ["stored", "duplicate"]
    assert put(store, second, first) == ["duplicate", "stored"]
    assert {"api-1": PartitionCount(1, 0, 0, 0), "api-2": PartitionCount(0, 1, 0, 0)} == dict(
        store.reader.partition_counts()
    )
    assert len(store.reader.predictions(PredictionQuery())) == 1


@pytest.mark.parametrize("kind", ["label", "control"])
def test_labels_and_controls_are_stored_once_too(store: Store, events: Any, kind: str) -> None:
    first = events.label(1) if kind == "label" else events.control(1)
    second = events.at(first.event, "other")
    assert put(store, first, first, second) == ["stored", "stored", "duplicate"]
    assert put(store, second) == ["duplicate"]
    counts = store.reader.partition_counts()
    assert PartitionCount(1, 0, 0, 0) == counts[first.record.partition]
    assert PartitionCount(0, 1, 0, 0) == counts["other"]


def test_resolutions_come_in_the_order_of_the_events(store: Store, events: Any) -> None:
    first, other_day = events.prediction(1), events.prediction(2, received=NOON - timedelta(days=1))
    again = events.at(first.event, "api-2")
    assert put(store, first, again, events.control(3), other_day) == ["stored", "duplicate", "stored", "stored"]


def test_a_batch_over_midnight_is_stored_whole(store: Store, events: Any) -> None:
    before = events.prediction(1, received=MIDNIGHT - timedelta(milliseconds=1))
    after = events.prediction(2, received=MIDNIGHT)
    put(store, after, before)
    put(store, before, after)
    assert [id_of(after), id_of(before)] == ids(store.reader.predictions(PredictionQuery()))
    assert {"api-1": PartitionCount(2, 0, 0, 0)} == store.reader.partition_counts()


def test_an_event_without_a_proper_id_is_a_dead_letter_and_the_others_are_stored(store: Store, events: Any) -> None:
    good, bad = events.prediction(1), events.prediction(2, event_id="seventeen")
    resolutions, letters = store.writer.index([bad, good])
    assert resolutions == ["stored"]
    assert [bad.record] == [refused.record for refused in letters]
    assert letters[0].reason == "unstorable"


def test_predictions_are_found_by_model_version_and_role(store: Store, events: Any) -> None:
    produced = events.prediction(1)
    shadowed, other = events.shadow(produced), events.prediction(3, model_name="iris", model_version="7")
    put(store, produced, shadowed, other)
    found = store.reader.predictions
    assert [id_of(produced)] == ids(found(PredictionQuery(model_name="flights", role="production")))
    assert [id_of(shadowed)] == ids(found(PredictionQuery(model_name="flights", model_version="2")))
    assert [id_of(other)] == ids(found(PredictionQuery(model_name="iris")))
    assert found(PredictionQuery(model_name="iris", role="shadow")) == []


def test_predictions_are_found_by_request_and_by_origin(store: Store, events: Any) -> None:
    produced, other = events.prediction(1), events.prediction(2)
    shadowed = events.shadow(produced)
    put(store, produced, other, shadowed)
    by_request = store.reader.predictions(PredictionQuery(request_id="request-1"))
    assert {id_of(produced), id_of(shadowed)} == set(ids(by_request))
    assert [id_of(shadowed)] == ids(store.reader.predictions(PredictionQuery(origin_event_id=id_of(produced))))
    assert store.reader.predictions(PredictionQuery(origin_event_id=id_of(shadowed))) == []
    assert store.reader.predictions(PredictionQuery(event_id="no id at all")) == []


def test_predictions_come_newest_first_and_never_more_than_asked(store: Store, events: Any) -> None:
    moments = [NOON + timedelta(hours=hours) for hours in (30, 0, 13, 5, 26)]
    written = [events.prediction(number, received=moment) for number, moment in enumerate(moments)]
    put(store, *written)
    newest_first = [id_of(item) for item in sorted(written, key=id_of, reverse=True)]
    assert newest_first == ids(store.reader.predictions(PredictionQuery()))
    assert newest_first[:3] == ids(store.reader.predictions(PredictionQuery(model_name="flights", limit=3)))


def test_several_versions_of_one_day_come_as_one_newest_first(store: Store, events: Any) -> None:
    written = [
        events.prediction(number, received=NOON + timedelta(seconds=number), model_version=str(number % 3))
        for number in range(9)
    ]
    put(store, *written)
    newest_first = [id_of(item) for item in reversed(written)]
    assert ids(store.reader.predictions(PredictionQuery(model_name="flights", limit=4))) == newest_first[:4]
    assert ids(store.reader.predictions(PredictionQuery())) == newest_first


def test_a_time_range_includes_its_start_and_not_its_end(store: Store, events: Any) -> None:
    moments = [NOON, NOON + timedelta(milliseconds=1), NOON + timedelta(days=1), NOON + timedelta(days=2)]
    written = [events.prediction(number, received=moment) for number, moment in enumerate(moments)]
    put(store, *written)
    query = PredictionQuery(received_from=moments[1], received_to=moments[3])
    assert [id_of(written[2]), id_of(written[1])] == ids(store.reader.predictions(query))


def test_a_label_is_found_by_event_id_whatever_day_it_came(store: Store, events: Any) -> None:
    produced, other = events.prediction(1), events.prediction(2)
    label = events.label(3, event_id=id_of(produced), received=NOON + timedelta(days=3))
    put(store, produced, other, label)
    (document,) = store.reader.labels([id_of(produced)])
    assert document["label"] == 1
    assert store.reader.labels([id_of(other)]) == []


def test_a_label_is_found_by_request_and_row(store: Store, events: Any) -> None:
    rows = [events.prediction(number, request_id="r", row=number) for number in (0, 1)]
    label = events.label(3, request_id="r", row=1)
    elsewhere = events.label(4, request_id="r", row=0, model_name="iris")
    put(store, *rows, label, elsewhere)
    assert store.reader.labels([id_of(rows[0])]) == []
    assert len(store.reader.labels([id_of(rows[1])])) == 1


def test_of_several_labels_the_one_known_last_comes_first(store: Store, events: Any) -> None:
    produced = events.prediction(1)
    labels = [
        events.label(number, event_id=id_of(produced), label=number, labelled_at=NOON + timedelta(hours=hours))
        for number, hours in ((3, 1), (4, 5), (5, 2))
    ]
    put(store, produced, *labels)
    assert [document["label"] for document in store.reader.labels([id_of(produced)])] == [4, 5, 3]


def test_controls_are_found_by_kind_and_model_newest_first(store: Store, events: Any) -> None:
    put(
        store,
        events.control(1),
        events.control(2, kind="alarm"),
        events.control(3, received=NOON + timedelta(hours=1)),
        events.control(4, model_name="iris"),
    )
    kinds = [document["kind"] for document in store.reader.controls(model_name="flights")]
    assert kinds == ["promoted", "alarm", "promoted"]
    assert len(store.reader.controls(kind="promoted")) == 3
    assert len(store.reader.controls(kind="promoted", model_name="flights", limit=1)) == 1


def test_missing_shadow_answers_are_named_with_their_place(store: Store, events: Any) -> None:
    answered, unanswered = events.prediction(1), events.prediction(2)
    put(store, answered, unanswered, events.shadow(answered))
    (missing,) = store.reader.missing_shadow("flights", "2", received_from=NOON)
    assert (id_of(unanswered), "api-1", 1) == missing


def test_an_answer_of_another_version_or_role_is_no_answer(store: Store, events: Any) -> None:
    original = events.prediction(1)
    direct = events.prediction(5, role="direct", model_version="2", origin_event_id=id_of(original))
    put(store, original, events.shadow(original, version="3"), direct)
    assert len(store.reader.missing_shadow("flights", "2", received_from=NOON)) == 1
    assert store.reader.missing_shadow("flights", "3", received_from=NOON) == []


def test_a_shadow_owes_nothing_for_its_own_other_earlier_or_direct_events(store: Store, events: Any) -> None:
    put(
        store,
        events.prediction(1, model_version="2"),
        events.prediction(2, model_name="iris"),
        events.prediction(3, received=NOON - timedelta(milliseconds=1)),
        events.prediction(4, role="direct"),
    )
    assert store.reader.missing_shadow("flights", "2", received_from=NOON) == []


def test_a_shadow_owes_only_the_sampled_fraction(store: Store, events: Any) -> None:
    written = [events.prediction(number) for number in range(40)]
    put(store, *written)
    sampled = {id_of(item) for item in written if sample_position(id_of(item)) < 0.5}
    missing = store.reader.missing_shadow("flights", "2", received_from=NOON, fraction=0.5)
    assert sampled == {answer.event_id for answer in missing}
    assert 0 < len(sampled) < 40


def test_counts_tell_outcomes_apart(store: Store, events: Any) -> None:
    put(store, events.prediction(1), events.prediction(2), events.prediction(3, outcome="error", error_type="E"))
    assert dict(store.reader.counts()) == {
        ("flights", "1", "production", "ok"): 2,
        ("flights", "1", "production", "error"): 1,
    }


def test_closing_twice_is_harmless(store: Store) -> None:
    store.writer.close()
    store.writer.close()
