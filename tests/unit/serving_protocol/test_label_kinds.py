"""Classifiers whose classes nobody listed: what they say of their labels, and which labels they take."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from serving.bundle import Bundle, LatencyProfile
from serving.errors import InvalidRowsError
from serving.feedback import decode_feedback, label_events
from serving.openapi import answer_schema
from serving.protocol.v2_metadata import model_metadata
from serving.protocol.v2_outputs import AnsweredBy, encode_infer, read_outputs
from serving.rows import Answers, LabelKind, Value
from serving.signature import Column, Signature
from streaming.codec import decode
from streaming.events import LabelEvent

NOW = datetime(2026, 11, 21, tzinfo=UTC)
TEXT = Signature((Column("0", "string", dtype="string"),), positional=True)


def bundle(kind: LabelKind) -> Bundle:
    return Bundle(
        model_name="mail",
        model_version="1",
        digest="abc",
        engine="process",
        task="classifier",
        label_kind=kind,
        signature=TEXT,
        example={"0": "word"},
        latency=LatencyProfile({}),
        created_at=NOW,
    )


def recorded(kind: LabelKind, label: Value) -> Value:
    catalog: Any = SimpleNamespace(production=lambda name: SimpleNamespace(bundle=bundle(kind)))
    body = json.dumps({"request_id": "r", "label": label}).encode()
    events = label_events(decode_feedback(body, now=NOW, max_rows=1), catalog, now=NOW)
    event = decode(events[0])
    assert isinstance(event, LabelEvent)
    return event.label


@pytest.mark.parametrize(
    ("kind", "label", "expected"),
    [
        ("string", "a word no answer ever had", None),
        ("boolean", True, None),
        ("integer", -3, None),
        ("integer", 3.0, 3),
    ],
)
def test_any_label_of_the_models_type_is_taken(kind: LabelKind, label: Value, expected: Value | None) -> None:
    wanted = label if expected is None else expected

    found = recorded(kind, label)

    assert (found, type(found)) == (wanted, type(wanted))


@pytest.mark.parametrize(
    ("kind", "label", "advice"),
    [
        ("string", 3, "the labels of mail are strings: send a string"),
        ("boolean", 1, "the labels of mail are booleans: send true or false"),
        ("integer", True, "the labels of mail are integers: send an integer"),
        ("integer", "3", "the labels of mail are integers: send an integer"),
        ("integer", 3.5, "the labels of mail are integers: send an integer"),
    ],
)
def test_a_label_of_another_type_is_refused_with_what_to_send(kind: LabelKind, label: Value, advice: str) -> None:
    with pytest.raises(InvalidRowsError) as caught:
        recorded(kind, label)

    assert advice in caught.value.problems[0].msg


@pytest.mark.parametrize(
    ("kind", "answer", "datatype", "schema"),
    [("string", "spam", "BYTES", "string"), ("boolean", True, "BOOL", "boolean"), ("integer", 7, "INT64", "integer")],
)
def test_protocols_state_the_type_and_no_probabilities(
    kind: LabelKind, answer: Value, datatype: str, schema: str
) -> None:
    described = model_metadata("mail", ["1"], TEXT, classes=None, label_kind=kind, engine="process")
    body, _ = encode_infer(
        Answers([answer], None), read_outputs({}, classifier=False), AnsweredBy("mail", "1", None, kind)
    )

    assert described["outputs"] == [{"name": "predict", "datatype": datatype, "shape": [-1]}]
    assert json.loads(body)["outputs"] == [{"name": "predict", "datatype": datatype, "shape": [1], "data": [answer]}]
    said = answer_schema(bundle(kind))["properties"]
    assert said["prediction"]["items"] == {"type": schema}
    assert "probabilities" not in said


@pytest.mark.parametrize(
    ("columns", "inputs"),
    [
        ((Column("0", "string", dtype="string"),), [("input-0", "BYTES", [-1, 1])]),
        ((Column("0", "float", dtype="float"), Column("1", "float", dtype="float")), [("input-0", "FP32", [-1, 2])]),
        ((Column("0", "float"), Column("1", "string")), [("0", "FP64", [-1, 1]), ("1", "BYTES", [-1, 1])]),
    ],
)
def test_columns_without_names_are_a_matrix_where_one_type_holds_them(
    columns: tuple[Column, ...], inputs: list[tuple[str, str, list[int]]]
) -> None:
    described = model_metadata("m", ["1"], Signature(columns, positional=True), classes=None, engine="process")

    assert [(one["name"], one["datatype"], one["shape"]) for one in described["inputs"]] == inputs
