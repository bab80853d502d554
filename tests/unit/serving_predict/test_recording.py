"""The events of answered calls, written as bytes, are the events of the contract."""

import json
from datetime import UTC, datetime
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from serving.bundle import Bundle, LatencyProfile
from serving.catalog import ServedModel
from serving.protocol.answers import AnswerText, score_of
from serving.recording import Call, Moment, answered_events
from serving.row_codec import RowCodec
from serving.rows import Answers, Rows, Value
from serving.signature import Column, Signature
from streaming.codec import decode
from streaming.events import PredictionEvent, Role, Source

SIGNATURE = Signature((Column("x", "float", nullable=True), Column("col\u00f6r", "string", dtype="string")))
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

finite = st.floats(allow_nan=False, allow_infinity=False)
classes = st.lists(st.one_of(st.text(min_size=1), st.integers(-5, 5)), min_size=2, max_size=4, unique_by=str)
rows = st.fixed_dictionaries({"x": st.none() | finite, "col\u00f6r": st.text()})


class NoEngine:
    inline = True

    def predict(self, rows: Rows) -> Answers:
        raise AssertionError

    def close(self) -> None:
        raise AssertionError


def served(labels: list[Value] | None) -> ServedModel:
    bundle = Bundle(
        model_name='quoted "name"',
        model_version="7",
        digest="",
        engine="onnx",
        task="classifier" if labels else "regressor",
        classes=labels,
        signature=SIGNATURE,
        example={},
        latency=LatencyProfile({}),
        created_at=NOW,
    )
    return ServedModel(bundle, "production", NoEngine(), RowCodec(SIGNATURE), AnswerText(labels))


def expected(call: Call, answers: Answers, row: int, features: object) -> PredictionEvent:
    prediction = answers.predictions[row]
    shares = answers.probabilities[row] if answers.probabilities else None
    return PredictionEvent(
        event_time=NOW,
        recorded_at=NOW,
        event_id=call.event_ids[row],
        request_id=call.request_id,
        model_name='quoted "name"',
        model_version="7",
        role=call.role,
        row=row,
        source=call.source,
        prediction=str(prediction),
        prediction_value=None if isinstance(prediction, str) else float(prediction),
        probabilities=dict(zip(map(str, call.served.bundle.classes or ()), shares, strict=True)) if shares else None,
        score=score_of(shares),
        duration_seconds=0.25,
        batch_rows=9,
        features=features,
    )


def events_of(call: Call, answers: Answers) -> list[object]:
    events = answered_events(call, answers, Moment(NOW, 1.25, 9))
    assert all(b"\n" not in event for event in events)
    return [decode(event) for event in events]


@given(classes, st.lists(rows, min_size=1, max_size=3), st.text(), st.data())
def test_a_classifiers_events_decode_to_what_was_answered(
    labels: list[Value], records: list[dict[str, object]], request_id: str, data: st.DataObject
) -> None:
    model = served(labels)
    shares = data.draw(st.lists(finite, min_size=len(labels), max_size=len(labels)))
    answers = Answers([data.draw(st.sampled_from(labels)) for _ in records], [shares for _ in records])
    role, source = data.draw(st.sampled_from(get_args(Role))), data.draw(st.sampled_from(get_args(Source)))
    call = Call(model, model.codec.from_records(records), request_id, NOW, 1.0, role=role, source=source)
    call.event_ids = [f"id-{row}" for row in range(len(records))]
    assert events_of(call, answers) == [expected(call, answers, row, record) for row, record in enumerate(records)]


@given(st.lists(finite, min_size=1, max_size=3))
def test_a_regressors_events_decode_to_what_was_answered(values: list[float]) -> None:
    model = served(None)
    records = [{"x": value, "col\u00f6r": "a"} for value in values]
    answers = Answers(list(values), None)
    call = Call(model, model.codec.from_records(records), "r", NOW, 1.0)
    call.event_ids = [f"id-{row}" for row in range(len(records))]
    assert events_of(call, answers) == [expected(call, answers, row, record) for row, record in enumerate(records)]


@given(rows)
def test_a_flat_body_is_recorded_as_it_came(record: dict[str, object]) -> None:
    model = served([0, 1])
    body = json.dumps(record).encode()
    call = Call(model, [model.codec.decode_flat(body)], "r", NOW, 1.0, raw=body)
    call.event_ids = ["id-0"]
    answers = Answers([1], [[0.5, 0.5]])
    assert events_of(call, answers) == [expected(call, answers, 0, record)]
