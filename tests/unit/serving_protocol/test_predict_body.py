import json
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.errors import InvalidRowsError, MalformedBodyError, ServingError, TooLargeError
from serving.protocol.answers import AnswerText, encode_invocations
from serving.protocol.predict_body import decode_predict
from serving.row_codec import RowCodec
from serving.rows import Answers, Value
from serving.signature import Column, Signature

SIGNATURE = Signature(
    columns=(
        Column("carrier", "string", dtype="string"),
        Column("distance", "float"),
        Column("seats", "integer", dtype="long"),
        Column("tail number", "string", nullable=True, dtype="string"),
        Column("night", "boolean", dtype="boolean"),
        Column("engines", "integer", nullable=True, dtype="long"),
    )
)
NAMES = [column.name for column in SIGNATURE.columns]
CODEC = RowCodec(SIGNATURE)
ROW = ["UA", 1400.0, 3, None, True, None]
ROWS = [ROW, ["é", None, -1, "", False, 2]]


def records(rows: list[list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(NAMES, row, strict=True)) for row in rows]


def columns(rows: list[list[Any]]) -> dict[str, list[Any]]:
    return {name: [row[index] for row in rows] for index, name in enumerate(NAMES)}


def indexed(rows: list[list[Any]]) -> dict[str, dict[str, Any]]:
    return {name: {str(row): value for row, value in enumerate(values)} for name, values in columns(rows).items()}


FORMS: dict[str, Callable[[Any], Any]] = {
    "instances of records": lambda rows: {"instances": records(rows)},
    "instances of lists": lambda rows: {"instances": rows},
    "inputs of records": lambda rows: {"inputs": records(rows)},
    "inputs of lists": lambda rows: {"inputs": rows},
    "inputs of columns": lambda rows: {"inputs": columns(rows)},
    "inputs as pandas writes columns": lambda rows: {"inputs": indexed(rows)},
    "split": lambda rows: {"dataframe_split": {"columns": NAMES, "index": [5], "data": rows}},
    "split in another order": lambda rows: {
        "dataframe_split": {"columns": NAMES[::-1], "data": [row[::-1] for row in rows]}
    },
    "split without names": lambda rows: {"dataframe_split": {"data": rows}},
    "dataframe_records": lambda rows: {"dataframe_records": records(rows), "params": {"threshold": 0.5}},
    "plain records": records,
    "plain lists": lambda rows: rows,
    "plain columns": columns,
    "to_json(orient=columns)": indexed,
    "to_json(orient=index)": lambda rows: {str(index): record for index, record in enumerate(records(rows))},
    "to_json(orient=split)": lambda rows: {"columns": NAMES, "index": [0], "data": rows},
}

any_row = st.tuples(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**53), 2**53),
    st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    st.booleans(),
    st.none() | st.integers(-(2**53), 2**53),
).map(list)


def decode(value: Any, codec: RowCodec = CODEC, max_rows: int = 100) -> list[msgspec.Struct]:
    return decode_predict(json.dumps(value).encode(), codec, max_rows=max_rows)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=30)
@given(st.lists(any_row, min_size=1, max_size=3))
def test_every_form_of_a_body_gives_the_same_rows(form: str, rows: list[list[Any]]) -> None:
    expected = [decode(record)[0] for record in records(rows)]

    decoded = decode(FORMS[form](rows))

    assert decoded == expected
    assert msgspec.json.decode(msgspec.json.encode(decoded)) == records(rows)
    assert CODEC.rows(decoded).strings == [(row[0], row[3]) for row in rows]
    wanted = [[np.nan if row[i] is None else float(row[i]) for i in (1, 2, 4, 5)] for row in rows]
    np.testing.assert_array_equal(CODEC.rows(decoded).numbers, wanted)


@pytest.mark.parametrize("orient", ["split", "records", "columns", "index", "values", "table"])
def test_what_pandas_writes_is_a_body_as_it_stands(orient: Any) -> None:
    frame = pd.DataFrame({"a": [1.5, None], "b": ["x", "y"], "c": [1, 2]}, index=[7, 9])
    codec = RowCodec(Signature(columns=(Column("a", "float"), Column("b", "string"), Column("c", "integer"))))

    rows = decode_predict(frame.to_json(orient=orient).encode(), codec, max_rows=10)

    assert msgspec.json.encode(rows) == b'[{"a":1.5,"c":1,"b":"x"},{"a":null,"c":2,"b":"y"}]'


@pytest.mark.parametrize("name", ["instances", "inputs", "data", "columns", "dataframe_split"])
def test_a_column_named_like_an_envelope_is_a_column(name: str) -> None:
    codec = RowCodec(Signature(columns=(Column(name, "float"),)))

    assert codec.rows(decode({name: 2}, codec)).numbers == [[2.0]]
    with pytest.raises(InvalidRowsError, match=f"body.{name}: expected a number, got the string 'x'"):
        decode({name: "x"}, codec)
    assert codec.rows(decode({"instances": [{name: 2}]}, codec)).numbers == [[2.0]]


def test_a_model_of_one_column_takes_bare_values() -> None:
    codec = RowCodec(Signature(columns=(Column("0", "float"),), positional=True))

    assert codec.rows(decode({"instances": [1, 2.5]}, codec)).numbers.tolist() == [[1.0], [2.5]]


def test_a_positional_model_takes_a_frame_of_numbered_columns() -> None:
    codec = RowCodec(Signature(columns=(Column("0", "float"), Column("1", "float")), positional=True))
    body = pd.DataFrame(np.array([[1.0, 2.0]])).to_json(orient="split").encode()

    assert codec.rows(decode_predict(body, codec, max_rows=1)).numbers.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("form", "loc"),
    [
        ("instances of records", ("body", "instances", 1, "distance")),
        ("instances of lists", ("body", "instances", 1, "distance")),
        ("inputs of columns", ("body", "inputs", 1, "distance")),
        ("split", ("body", "dataframe_split", "data", 1, "distance")),
        ("plain records", ("body", 1, "distance")),
    ],
)
def test_a_bad_value_in_a_batch_is_named_by_row_and_column(form: str, loc: tuple[str | int, ...]) -> None:
    with pytest.raises(InvalidRowsError) as caught:
        decode(FORMS[form]([ROW, ["UA", "far", 3, None, True, None]]))

    assert [problem.loc for problem in caught.value.problems] == [loc]


@pytest.mark.parametrize("rows", [[ROW], [ROW, ROW]])
def test_a_list_of_one_is_still_named_as_a_list(rows: list[list[Any]]) -> None:
    with pytest.raises(InvalidRowsError) as caught:
        decode([{**record, "seats": "x"} for record in records(rows)])

    assert [problem.loc for problem in caught.value.problems] == [("body", row, "seats") for row in range(len(rows))]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], "body: there is no row: send at least one"),
        ({"instances": []}, "body.instances: there is no row"),
        ({"inputs": {}}, "this field is required"),
        ({"inputs": columns([])}, "body.inputs: there is no row"),
        ({"dataframe_split": {"columns": NAMES, "data": []}}, "body.dataframe_split.data: there is no row"),
        ({"dataframe_split": {"columns": NAMES}}, 'expected {"columns"'),
        ({"dataframe_split": [ROW]}, 'expected {"columns"'),
        ({"instances": [ROW], "instence": 1}, "body.instence: not known beside 'instances': leave it out"),
        ({"instances": [ROW[:-1]]}, "body.instances.0: expected 6 values, one per column, got 5"),
        ({"instances": [ROW, {"a": 1}]}, "body.instances.1: expected an array of 6 values, got an object"),
        ({"instances": [1, 2]}, "body.instances.0: expected an object of column to value, got the number 1"),
        ({"inputs": {**columns([ROW]), "seats": [1, 2]}}, "body.inputs.seats: this column has other rows"),
        ({"inputs": columns([ROW]) | {"sets": [1]}}, "body.inputs.columns.sets: the model has no such field"),
        ({}, "body.carrier: this field is required"),
    ],
)
def test_a_bad_batch_says_what_is_wrong(body: Any, text: str) -> None:
    with pytest.raises(InvalidRowsError) as caught:
        decode(body)

    assert text in str(caught.value)


@pytest.mark.parametrize("body", [5, "x", None, True, {"instances": [ROW], "inputs": [ROW]}])
def test_a_body_in_none_of_the_forms_says_which_there_are(body: Any) -> None:
    with pytest.raises(MalformedBodyError, match="send"):
        decode(body)


def test_too_many_rows_are_refused_before_they_are_decoded() -> None:
    with pytest.raises(TooLargeError, match="3 rows are more than MAX_BATCH_ROWS"):
        decode({"instances": [ROW, ROW, 5]}, max_rows=2)


def test_fields_are_not_searched_for_likeness_without_end() -> None:
    wide = RowCodec(Signature(columns=tuple(Column(f"column {i}", "float") for i in range(300))))
    with pytest.raises(InvalidRowsError) as caught:
        decode({f"colum {i}": 1 for i in range(300)} | {f"column {i}": 1 for i in range(300)}, wide)

    assert sum("did you mean" in problem.msg for problem in caught.value.problems) == 5


def body_of(answers: Answers, classes: list[Value] | None, event_ids: list[str] | None = None) -> bytes:
    text = AnswerText(classes)
    return text.body(answers, text.shares(answers), event_ids)


def test_an_answer_carries_probabilities_by_class_and_ids_of_several_rows() -> None:
    answers = Answers([0, 1], [[0.9, 0.1], [0.25, 0.75]])

    assert body_of(Answers([0], [[0.9, 0.1]]), [0, 1]) == (b'{"prediction":[0],"probabilities":[{"0":0.9,"1":0.1}]}')
    assert msgspec.json.decode(body_of(answers, [0, 1], ["a", "b"])) == {
        "prediction": [0, 1],
        "probabilities": [{"0": 0.9, "1": 0.1}, {"0": 0.25, "1": 0.75}],
        "event_ids": ["a", "b"],
    }
    assert body_of(Answers([1.5], None), None) == b'{"prediction":[1.5]}'
    assert encode_invocations(answers) == b'{"predictions":[0,1]}'


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(ROW),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*NAMES, "instances", "inputs", "dataframe_split", "columns", "data", "schema", "x"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("codec", [CODEC, RowCodec(SIGNATURE, ignore_unknown=True)], ids=["refuse", "ignore"])
@given(json_values)
def test_any_json_gives_rows_or_an_error_of_ours(codec: RowCodec, value: Any) -> None:
    try:
        rows = decode_predict(json.dumps(value).encode(), codec, max_rows=5)
    except ServingError as error:
        msgspec.json.encode(str(error))
    else:
        assert len(codec.rows(rows)) == len(rows) > 0
        msgspec.json.encode(rows)


@given(st.binary())
def test_any_bytes_give_rows_or_an_error_of_ours(body: bytes) -> None:
    with pytest.raises(ServingError):
        decode_predict(body, CODEC, max_rows=5)


@given(st.data())
def test_a_body_cut_or_changed_anywhere_gives_rows_or_an_error_of_ours(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(sorted(FORMS)))
    body = bytearray(json.dumps(FORMS[form](ROWS)).encode())
    position = data.draw(st.integers(0, len(body) - 1))
    body[position : position + data.draw(st.integers(0, 3))] = data.draw(
        st.sampled_from([b"", b"NaN", b"-Infinity", b"[", b"}", b'"', b"\xff", b"\\ud800", b"1e999", b"9" * 400])
    )
    try:
        decode_predict(bytes(body), CODEC, max_rows=5)
    except ServingError as error:
        msgspec.json.encode(str(error))
