import json
from typing import Any

import numpy as np
import pytest

from serving.errors import InvalidRowsError, MalformedBodyError, ServingError, TooLargeError
from serving.protocol.v2_infer import decode_infer
from serving.row_codec import RowCodec
from serving.signature import Column, Signature

PAIR = RowCodec(Signature(columns=(Column("0", "float"), Column("1", "float")), positional=True))


def x(**changes: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1, 2], **changes}]}


@pytest.mark.parametrize(
    ("body", "error", "text"),
    [
        ([], MalformedBodyError, '"inputs"'),
        ({"inputs": {}}, MalformedBodyError, '"inputs"'),
        ({"inputs": []}, InvalidRowsError, "at least one"),
        ({"inputs": [1]}, MalformedBodyError, "each input is an object"),
        ({**x(), "id": 5}, MalformedBodyError, '"id" must be a string'),
        ({**x(), "outputs": [{"name": "probabilities"}]}, MalformedBodyError, "this model has label, predict"),
        ({**x(), "outputs": "predict"}, MalformedBodyError, "must be a list"),
        (x(datatype="FP8"), MalformedBodyError, "input 'x': datatype 'FP8' is not one of BOOL, BYTES"),
        (x(shape=[1, -2]), MalformedBodyError, "input 'x': shape must be"),
        (x(shape=[True, 2]), MalformedBodyError, "input 'x': shape must be"),
        (x(data=None), MalformedBodyError, 'neither "data" nor'),
        (x(data=[1]), MalformedBodyError, "shape asks for 2 values, data has 1"),
        (x(data=[1, "2"]), InvalidRowsError, "inputs.0.1: expected a number, got the string '2': leave out the quotes"),
        (x(data=[1, float("inf")]), InvalidRowsError, "Infinity is not a JSON number"),
        (x(shape=[2]), InvalidRowsError, r"needs the shape [rows, 2] (columns: 0, 1), got [2]"),
        (x(shape=[0, 2], data=[]), InvalidRowsError, "there is no row"),
        (x(shape=[6, 2], data=[0] * 12), TooLargeError, "6 rows are more"),
        (x(parameters={"shared_memory_region": "a"}), MalformedBodyError, "shared memory is not supported"),
        (x(parameters={"binary_data_size": 8}), MalformedBodyError, "binary_data_size is 8, but 0 bytes are left"),
        (x(parameters={"binary_data_size": -1}), MalformedBodyError, "binary_data_size is -1"),
        (
            {
                "inputs": [
                    {"name": n, "shape": [i], "datatype": "FP64", "data": [0] * i} for i, n in ((1, "0"), (2, "1"))
                ]
            },
            InvalidRowsError,
            "inputs.1: one tensor per column needs the shape [1] or [1, 1], got [2]",
        ),
    ],
)
def test_a_bad_request_says_what_is_wrong(body: Any, error: type[ServingError], text: str) -> None:
    with pytest.raises(error) as caught:
        decode_infer(json.dumps(body).encode(), None, PAIR, classifier=False, max_rows=5)

    assert text in str(caught.value)


@pytest.mark.parametrize("length", [b"", b"-1", b"1e3", b"999999", b"9" * 5000, "²".encode()])
def test_a_bad_header_length_says_what_it_must_be(length: bytes) -> None:
    with pytest.raises(MalformedBodyError, match="must be the length of the JSON part"):
        decode_infer(json.dumps(x()).encode(), length, PAIR, classifier=False, max_rows=5)


@pytest.mark.parametrize(
    ("datatype", "raw", "text"),
    [
        ("FP64", b"\0" * 8, "2 values of FP64 are 16 bytes, got 8"),
        ("FP32", np.array([np.inf, 0], "<f4").tobytes(), "infinite"),
        ("BYTES", b"\1\0\0", "end inside the length"),
        ("BYTES", b"\0\0\0\0\3\0\0\0ab", "longer than the bytes that are left"),
        ("BYTES", b"\xff\xff\xff\xffab", "longer than the bytes that are left"),
        ("BYTES", b"\1\0\0\0\xff\0\0\0\0", "string 0 is not UTF-8"),
        ("BYTES", b"\0\0\0\0", "shape asks for 2 strings, the bytes hold 1"),
    ],
)
def test_bad_tensor_bytes_say_what_is_wrong(datatype: str, raw: bytes, text: str) -> None:
    header = json.dumps(x(datatype=datatype, parameters={"binary_data_size": len(raw)})).encode()

    with pytest.raises(MalformedBodyError, match=text):
        decode_infer(header + raw, str(len(header)).encode(), PAIR, classifier=False, max_rows=5)


def test_bytes_after_the_last_tensor_are_refused() -> None:
    header = json.dumps(x(parameters={"binary_data_size": 16})).encode()

    with pytest.raises(MalformedBodyError, match="1 bytes after the last tensor"):
        decode_infer(header + bytes(17), str(len(header)).encode(), PAIR, classifier=False, max_rows=5)
