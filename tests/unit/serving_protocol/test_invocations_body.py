import json
from typing import Any

import msgspec
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import InvalidRowsError, MalformedBodyError, ServingError, TooLargeError, UnsupportedMediaError
from serving.protocol.invocations_body import decode_invocations
from serving.row_codec import RowCodec
from serving.signature import Column, Signature

CODEC = RowCodec(
    Signature(
        columns=(
            Column("carrier", "string", dtype="string"),
            Column("distance", "float"),
            Column("seats", "integer", dtype="long"),
            Column("tail", "string", nullable=True, dtype="string"),
            Column("night", "boolean", dtype="boolean"),
        )
    )
)
RECORD = {"carrier": "UA", "distance": 1.5, "seats": 3, "tail": None, "night": True}
JSON, CSV = b"application/json", b"text/csv; charset=UTF-8"


def decode(body: Any, content_type: bytes | None = JSON) -> tuple[Any, int]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    rows, dropped = decode_invocations(raw, content_type, CODEC, max_rows=3)
    return msgspec.json.decode(msgspec.json.encode(rows)), dropped


@pytest.mark.parametrize(
    ("body", "dropped"),
    [
        ({"dataframe_records": [RECORD, {**RECORD, "a": 1, "b": [2]}]}, 2),
        (
            {"dataframe_split": {"columns": ["x", *RECORD, "y"], "data": [[0, *RECORD.values(), {}]] * 2}},
            4,
        ),
        ({"inputs": {name: [value] * 2 for name, value in {**RECORD, "z": 1}.items()}}, 2),
        ({"instances": [RECORD, RECORD], "params": {"temperature": 1}}, 0),
        ({"dataframe_split": {"data": [list(RECORD.values())] * 2}}, 0),
    ],
)
def test_fields_nobody_knows_are_dropped_and_counted(body: Any, dropped: int) -> None:
    assert decode(body) == ([RECORD, RECORD], dropped)


def test_a_csv_file_as_pandas_writes_it_gives_its_rows() -> None:
    second = {"carrier": 'a,"b"\nc', "distance": None, "seats": -4, "tail": "é", "night": False}
    body = pd.DataFrame([RECORD, second]).to_csv().encode()

    assert decode(body, CSV) == ([RECORD, second], 2)


def test_a_csv_cell_that_does_not_fit_is_named() -> None:
    body = b"carrier,distance,seats,tail,night\n5,far,3.5,,yes\nUA,1e999,,x,TRUE\n"
    with pytest.raises(InvalidRowsError) as caught:
        decode(body, CSV)

    assert [(problem.loc[1:], problem.type) for problem in caught.value.problems] == [
        ((0, "distance"), "float_type"),
        ((0, "seats"), "int_from_float"),
        ((0, "night"), "bool_type"),
        ((1, "distance"), "finite_number"),
        ((1, "seats"), "int_type"),
    ]


@pytest.mark.parametrize(
    ("body", "error", "text"),
    [
        (b"", MalformedBodyError, "the body is empty: send a header"),
        (b"carrier\n\xff", MalformedBodyError, "not UTF-8"),
        (b'carrier\n"a', MalformedBodyError, "not CSV"),
        (b"carrier,distance,seats,tail,night\n", InvalidRowsError, "no row"),
        (b"carrier,distance\nUA,1\n", InvalidRowsError, "columns.seats: this column is required"),
        (b"carrier,carrier\nUA,1\n", InvalidRowsError, "columns.carrier: this column occurs twice"),
        (b"carrier,distance,seats,tail,night\nUA,1\n", InvalidRowsError, "expected 5 values, one per column, got 2"),
        (b"x\n" + b"1\n" * 4, TooLargeError, "4 rows are more"),
    ],
)
def test_a_bad_csv_file_says_what_is_wrong(body: bytes, error: type[ServingError], text: str) -> None:
    with pytest.raises(error, match=text):
        decode(body, CSV)


@pytest.mark.parametrize(
    "content_type", [b"text/plain", b"application/x-parquet", b"text/csv; charset=latin-1", b"\xff"]
)
def test_another_content_type_says_what_to_send(content_type: bytes) -> None:
    with pytest.raises(UnsupportedMediaError, match="send"):
        decode([RECORD], content_type)


def test_no_content_type_means_json() -> None:
    assert decode([RECORD], None) == ([RECORD], 0)


@given(st.binary() | st.text('carier,\n"\r 1.x\0', max_size=60).map(str.encode), st.sampled_from([JSON, CSV]))
def test_any_bytes_give_rows_or_an_error_of_ours(body: bytes, content_type: bytes) -> None:
    try:
        decode_invocations(body, content_type, CODEC, max_rows=5)
    except ServingError as error:
        msgspec.json.encode(str(error))


@given(st.lists(st.lists(st.sampled_from(["UA", "1", "", "nan", "9" * 5000, "true"]), max_size=6), max_size=3))
def test_any_cells_give_rows_or_an_error_of_ours(rows: list[list[str]]) -> None:
    body = "\n".join([",".join(RECORD), *map(",".join, rows)]).encode()
    try:
        decode_invocations(body, CSV, CODEC, max_rows=5)
    except ServingError as error:
        msgspec.json.encode(str(error))
