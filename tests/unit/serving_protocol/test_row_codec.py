import json

import msgspec
import numpy as np
import pytest

from serving.errors import FieldProblem, InvalidRowsError, MalformedBodyError, ServingError, TooLargeError
from serving.protocol.json_body import parse
from serving.row_codec import RowCodec
from serving.signature import Column, Signature

FLIGHTS = Signature(
    columns=(
        Column("carrier", "string", dtype="string"),
        Column("distance", "float"),
        Column("seats", "integer", dtype="long"),
        Column("tail number", "string", nullable=True, dtype="string"),
        Column("night", "boolean", dtype="boolean"),
        Column("engines", "integer", nullable=True, dtype="long"),
    )
)
GOOD = {"carrier": "UA", "distance": 1400.0, "seats": 3, "tail number": None, "night": True, "engines": None}


@pytest.fixture
def codec() -> RowCodec:
    return RowCodec(FLIGHTS)


def problems_of(codec: RowCodec, **changes: object) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRowsError) as caught:
        codec.decode_flat(json.dumps({**GOOD, **changes}).encode())
    assert all(problem.loc[0] == "body" for problem in caught.value.problems)
    return [(str(problem.loc[-1]), problem.type) for problem in caught.value.problems]


def test_rows_are_split_by_type_in_signature_order(codec: RowCodec) -> None:
    row = codec.decode_flat(json.dumps(GOOD).encode())

    rows = codec.rows([row, row])

    assert rows.strings == [("UA", None)] * 2
    np.testing.assert_array_equal(rows.numbers, [[1400.0, 3.0, 1.0, np.nan]] * 2)


def test_an_encoded_row_has_the_callers_names_and_nulls(codec: RowCodec) -> None:
    assert msgspec.json.decode(msgspec.json.encode(codec.decode_flat(json.dumps(GOOD).encode()))) == GOOD


def test_null_in_a_float_column_predicts_as_nan_and_records_as_null(codec: RowCodec) -> None:
    row = codec.decode_flat(json.dumps({**GOOD, "distance": None}).encode())

    assert np.isnan(codec.rows([row]).numbers[0, 0])
    assert b'"distance":null' in msgspec.json.encode(row)


@pytest.mark.parametrize(("column", "sent", "held"), [("distance", 7, 7.0), ("seats", 3.0, 3), ("seats", -0.0, 0)])
def test_numbers_that_mean_the_same_are_taken(codec: RowCodec, column: str, sent: object, held: object) -> None:
    row = codec.decode_flat(json.dumps({**GOOD, column: sent}).encode())

    encoded = msgspec.json.decode(msgspec.json.encode(row))[column]
    assert (encoded, type(encoded)) == (held, type(held))


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("distance", "7", "float_type"),
        ("distance", True, "float_type"),
        ("distance", [1], "float_type"),
        ("distance", "NaN", "float_type"),
        ("distance", float("nan"), "finite_number"),
        ("distance", float("-inf"), "finite_number"),
        ("distance", 10**400, "finite_number"),
        ("seats", 3.5, "int_from_float"),
        ("seats", None, "null_not_allowed"),
        ("seats", False, "int_type"),
        ("seats", 2**53 + 1, "int_too_large"),
        ("engines", 2**70, "int_too_large"),
        ("night", 1, "bool_type"),
        ("night", "true", "bool_type"),
        ("carrier", 5, "string_type"),
        ("carrier", None, "null_not_allowed"),
        ("tail number", {}, "string_type"),
    ],
)
def test_a_value_that_does_not_fit_is_named(codec: RowCodec, column: str, value: object, kind: str) -> None:
    assert problems_of(codec, **{column: value}) == [(column, kind)]


def test_every_bad_field_is_named_at_once(codec: RowCodec) -> None:
    record = {"carrier": 1, "distance": "x", "seets": 3, "night": True, "engines": float("nan")}

    with pytest.raises(InvalidRowsError) as caught:
        codec.decode_flat(json.dumps(record).encode())

    assert set(caught.value.problems) == {
        FieldProblem(("body", "seats"), "this field is required: add it", "missing"),
        FieldProblem(("body", "tail number"), "this field is required: add it", "missing"),
        FieldProblem(("body", "distance"), "expected a number, got the string 'x'", "float_type"),
        FieldProblem(("body", "carrier"), "expected a string, got the number 1", "string_type"),
        FieldProblem(("body", "engines"), "NaN is not a JSON number: send null", "finite_number"),
        FieldProblem(("body", "seets"), "the model has no such field: did you mean 'seats'?", "extra_forbidden"),
    }


def test_the_hint_for_a_quoted_number_or_nan_says_what_to_send(codec: RowCodec) -> None:
    with pytest.raises(InvalidRowsError, match="got the string '7': leave out the quotes"):
        codec.decode_flat(json.dumps({**GOOD, "distance": "7"}).encode())
    with pytest.raises(InvalidRowsError, match="got the string 'NaN': send null"):
        codec.decode_flat(json.dumps({**GOOD, "distance": "NaN"}).encode())


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"carrier": "UA",', "line 1, column 18"),
        (b"", "the body is empty"),
        (b'{"carrier": "\xff"}', "not UTF-8: bad byte at position 13"),
        (b'{"carrier": "\\ud800"}', "surrogate"),
    ],
)
def test_what_is_not_json_says_where(codec: RowCodec, body: bytes, text: str) -> None:
    with pytest.raises(MalformedBodyError, match=text):
        codec.decode_flat(body)


def test_numbers_too_long_for_python_are_named_beside_a_nan(codec: RowCodec) -> None:
    body = json.dumps({**GOOD, "distance": float("nan")}).encode().replace(b'"seats": 3', b'"seats": ' + b"9" * 5000)

    with pytest.raises(InvalidRowsError) as caught:
        codec.decode_flat(body)

    assert [problem.type for problem in caught.value.problems] == ["finite_number", "finite_number"]


@pytest.mark.parametrize("bomb", [b"[" * 100_000, b'{"a":' * 100_000, b'{"distance":' + b"[" * 40 + b"]" * 40 + b"}"])
@pytest.mark.parametrize("ignore_unknown", [True, False])
def test_a_nesting_bomb_is_too_large(bomb: bytes, ignore_unknown: bool) -> None:
    with pytest.raises(TooLargeError, match="nested deeper than 16"):
        RowCodec(FLIGHTS, ignore_unknown=ignore_unknown).decode_flat(bomb)


def test_depth_counts_neither_breadth_nor_brackets_in_strings() -> None:
    body = json.dumps([{"a": '[[{{"\\[', "": [[1]]}] * 500).encode()

    assert len(parse(body, max_depth=4)) == 500
    with pytest.raises(TooLargeError):
        parse(body, max_depth=3)


def test_of_duplicate_keys_the_last_wins(codec: RowCodec) -> None:
    body = json.dumps(GOOD).encode()[:-1] + b', "distance": 2}'

    assert codec.rows([codec.decode_flat(body)]).numbers[0, 0] == 2.0


def test_an_unknown_field_is_dropped_when_asked_to() -> None:
    row = RowCodec(FLIGHTS, ignore_unknown=True).decode_flat(json.dumps({**GOOD, "gate": "B7"}).encode())

    assert msgspec.json.decode(msgspec.json.encode(row)) == GOOD


@pytest.mark.parametrize("gate", ["B7", 3, 0.5, None, True])
def test_what_only_a_shadow_knows_is_recorded_as_sent_and_never_checked(gate: object) -> None:
    codec = RowCodec(FLIGHTS, extra_columns=(Column("gate", "integer"), Column("seats", "float")))
    record = {**GOOD, "gate": gate}

    row = codec.decode_flat(json.dumps(record).encode())

    assert msgspec.json.decode(msgspec.json.encode(row)) == record
    assert codec.rows([row]).strings == [("UA", None)]
    assert codec.rows([row]).numbers.shape == (1, 4)


def test_a_column_only_a_shadow_knows_may_be_missing() -> None:
    codec = RowCodec(FLIGHTS, extra_columns=(Column("gate", "string"),))

    row = codec.decode_flat(json.dumps(GOOD).encode())

    assert msgspec.json.decode(msgspec.json.encode(row)) == GOOD


def test_an_extra_column_holds_scalars_only() -> None:
    codec = RowCodec(FLIGHTS, extra_columns=(Column("gate", "string"),))

    assert problems_of(codec, gate=[1]) == [("gate", "scalar_type")]


def test_a_recorded_event_gives_its_row_back(codec: RowCodec) -> None:
    shadow = RowCodec(Signature(columns=(Column("distance", "float"), Column("seats", "float"))))
    recorded = msgspec.json.decode(msgspec.json.encode(codec.decode_flat(json.dumps(GOOD).encode())))

    np.testing.assert_array_equal(shadow.rows([shadow.from_features(recorded)]).numbers, [[1400.0, 3.0]])


def test_a_recorded_event_that_lacks_a_column_is_refused(codec: RowCodec) -> None:
    with pytest.raises(InvalidRowsError, match=r"features\.seats: this field is required"):
        codec.from_features({name: value for name, value in GOOD.items() if name != "seats"} | {"other": 1})


def test_a_table_is_taken_by_name_or_by_position(codec: RowCodec) -> None:
    expected = [codec.decode_flat(json.dumps(GOOD).encode())]

    assert codec.from_table(list(reversed(GOOD)), [list(reversed(GOOD.values()))]) == expected
    assert codec.from_table(None, [list(GOOD.values())]) == expected


def test_a_table_names_each_bad_column_once_and_each_bad_row(codec: RowCodec) -> None:
    names = ["carier", *list(GOOD)[1:]]
    with pytest.raises(InvalidRowsError) as header:
        codec.from_table(names, [list(GOOD.values())] * 3)
    with pytest.raises(InvalidRowsError) as data:
        codec.from_table(None, [list(GOOD.values()), [1], 5])

    assert [problem.loc for problem in header.value.problems] == [
        ("body", "columns", "carrier"),
        ("body", "columns", "carier"),
    ]
    assert [(problem.loc, problem.msg) for problem in data.value.problems] == [
        (("body", 1), "expected 6 values, one per column, got 1"),
        (("body", 2), "expected an array of 6 values, got the number 5"),
    ]


def test_the_list_of_problems_is_bounded(codec: RowCodec) -> None:
    with pytest.raises(InvalidRowsError) as caught:
        codec.from_records([{}] * 1000)

    assert len(caught.value.problems) == 201
    assert caught.value.problems[-1].type == "more_problems"


def test_a_model_without_numbers_still_has_rows() -> None:
    codec = RowCodec(Signature(columns=(Column("text", "string"),)))

    rows = codec.rows([codec.decode_flat(b'{"text": "a"}'), codec.decode_flat(b'{"text": ""}')])

    assert rows.numbers.shape == (2, 0)
    assert rows.strings == [("a",), ("",)]


@pytest.mark.parametrize("names", [("a", "a"), ('a"', "b"), ("a\n", "b")])
def test_a_signature_that_cannot_be_served_is_refused_when_loaded(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="name"):
        RowCodec(Signature(columns=tuple(Column(name, "float") for name in names)))


def test_every_refusal_can_be_written_as_json(codec: RowCodec) -> None:
    with pytest.raises(ServingError) as caught:
        codec.from_records([{"carrier": "\ud800", "\udfff": 1, "seats": 10**5000}])

    msgspec.json.encode(str(caught.value))
