import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult

from serving.errors import MalformedBodyError, ServingError
from serving.protocol.v2_infer import InferRequest, decode_infer
from serving.protocol.v2_metadata import model_metadata, server_metadata
from serving.protocol.v2_outputs import AnsweredBy, encode_infer
from serving.protocol.v2_tensors import NUMBER_TYPES
from serving.row_codec import RowCodec
from serving.rows import Answers
from serving.signature import Column, Signature

MIXED = RowCodec(
    Signature(
        columns=(
            Column("carrier", "string", dtype="string"),
            Column("distance", "float"),
            Column("seats", "integer", dtype="long"),
            Column("night", "boolean", dtype="boolean"),
        )
    )
)
PAIR = RowCodec(Signature(columns=(Column("0", "float"), Column("1", "float")), positional=True))
ROWS = [["UA", 1.5, 3, True], ["é\0", None, -4, False]]
IRIS = AnsweredBy("iris", "7", [0, 1, 2])
ANSWERS = Answers([2, 0], [[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]])


def tensor(name: str, datatype: str, values: Any, *, binary: bool = True, column: bool = True) -> InferInput:
    dtype = np.object_ if datatype == "BYTES" else NUMBER_TYPES[datatype]
    array = np.array(values, dtype=dtype)
    if column:
        array = array.reshape(-1, 1)
    return InferInput(name, list(array.shape), datatype).set_data_from_numpy(array, binary_data=binary)


def columns(*, binary: bool) -> list[InferInput]:
    carriers, distances, seats, nights = zip(*ROWS, strict=True)
    return [
        tensor("night", "BOOL", nights, binary=binary),
        tensor("carrier", "BYTES", [carrier.encode() for carrier in carriers], binary=binary),
        tensor("distance", "FP32", distances, binary=binary),
        tensor("seats", "INT16", seats, binary=binary, column=False),
    ]


def request_of(inputs: Any, outputs: Any = None, **options: Any) -> tuple[bytes, bytes | None]:
    body, length = InferenceServerClient.generate_request_body(inputs, outputs=outputs, **options)
    return body, None if length is None else str(length).encode()


def decode(
    inputs: Any, outputs: Any = None, codec: RowCodec = MIXED, *, classifier: bool = True, **options: Any
) -> InferRequest:
    body, length = request_of(inputs, outputs, **options)
    return decode_infer(body, length, codec, classifier=classifier, max_rows=10)


def plain(codec: RowCodec, rows: list[msgspec.Struct]) -> list[list[Any]]:
    return [
        [record[column.name] for column in codec.signature.columns]
        for record in msgspec.json.decode(msgspec.json.encode(rows))
    ]


@pytest.mark.parametrize("binary", [True, False])
def test_one_tensor_per_column_gives_the_rows(binary: bool) -> None:
    assert plain(MIXED, decode(columns(binary=binary)).rows) == ROWS


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("datatype", sorted(set(NUMBER_TYPES) - {"BOOL"}))
def test_every_numeric_type_is_taken_as_a_matrix(datatype: str, binary: bool) -> None:
    inputs = [tensor("input-0", datatype, [[1, 2], [3, 4], [5, 6]], binary=binary, column=False)]

    assert plain(PAIR, decode(inputs, codec=PAIR).rows) == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


def test_a_matrix_of_text_columns_is_taken_by_position() -> None:
    codec = RowCodec(Signature(columns=(Column("a", "string"), Column("b", "string"))))

    assert plain(codec, decode([tensor("x", "BYTES", [[b"p", b""]], column=False)], codec=codec).rows) == [["p", ""]]


def test_a_matrix_of_numbers_fills_integer_and_boolean_columns() -> None:
    codec = RowCodec(
        Signature(columns=(Column("a", "integer", nullable=True), Column("b", "boolean"), Column("c", "float")))
    )
    inputs = [tensor("x", "FP64", [[3, 1, np.nan], [np.nan, 0, 2.5]], column=False)]

    assert plain(codec, decode(inputs, codec=codec).rows) == [[3, True, None], [None, False, 2.5]]


def test_json_data_may_be_nested_by_its_shape() -> None:
    body = {"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [[1, 2], [3, 4.5]]}]}

    request = decode_infer(json.dumps(body).encode(), None, PAIR, classifier=False, max_rows=5)

    assert plain(PAIR, request.rows) == [[1.0, 2.0], [3.0, 4.5]]


def test_a_column_of_one_row_is_no_matrix() -> None:
    codec = RowCodec(Signature(columns=(Column("a", "float"),)))

    assert plain(codec, decode([tensor("a", "FP64", [7])], codec=codec).rows) == [[7.0]]
    assert plain(codec, decode([tensor("other", "FP64", [7])], codec=codec).rows) == [[7.0]]


@pytest.mark.parametrize("binary", [True, False])
def test_the_client_reads_what_it_asked_for(binary: bool) -> None:
    outputs = [
        InferRequestedOutput("label", binary_data=binary),
        InferRequestedOutput("probabilities", binary_data=not binary),
        InferRequestedOutput("predict_proba", binary_data=binary, class_count=2),
    ]
    request = decode(columns(binary=binary), outputs, request_id="r-1")
    body, length = encode_infer(ANSWERS, request.outputs, IRIS, request_id=request.request_id, event_ids=["a", "b"])

    result = InferenceServerClient.parse_response_body(body, header_length=length)

    assert isinstance(result, InferResult)
    np.testing.assert_array_equal(result.as_numpy("label"), [2, 0])
    np.testing.assert_array_equal(result.as_numpy("probabilities"), ANSWERS.probabilities or [])
    assert [[str(text, "utf-8") if binary else text for text in row] for row in result.as_numpy("predict_proba")] == [
        ["0.700000:2:2", "0.200000:1:1"],
        ["0.500000:0:0", "0.250000:1:1"],
    ]
    response = result.get_response()
    assert (response["id"], response["model_name"], response["model_version"]) == ("r-1", "iris", "7")
    assert response["parameters"] == {"event_ids": "a,b"}


def test_without_wishes_the_client_gets_all_outputs_in_binary_and_others_in_json() -> None:
    request = decode(columns(binary=True))
    body, length = encode_infer(ANSWERS, request.outputs, IRIS)
    result = InferenceServerClient.parse_response_body(body, header_length=length)

    np.testing.assert_array_equal(result.as_numpy("predict"), [2, 0])
    assert result.as_numpy("probabilities").shape == (2, 3)

    raw = json.dumps({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}]}).encode()
    wishes = decode_infer(raw, None, PAIR, classifier=False, max_rows=5).outputs
    regressed, json_length = encode_infer(Answers([1.5], None), wishes, AnsweredBy("d", "1", None))
    assert json_length is None
    assert msgspec.json.decode(regressed) == {
        "model_name": "d",
        "model_version": "1",
        "outputs": [{"name": "predict", "datatype": "FP64", "shape": [1], "data": [1.5]}],
    }


def test_a_classifier_without_probabilities_answers_what_it_has() -> None:
    everything = decode(columns(binary=True)).outputs
    named = decode(columns(binary=True), [InferRequestedOutput("probabilities")]).outputs

    body, length = encode_infer(Answers(["b"], None), everything, AnsweredBy("m", "1", ["a", "b"]))
    result = InferenceServerClient.parse_response_body(body, header_length=length)

    assert result.as_numpy("predict").tolist() == [b"b"]
    assert result.as_numpy("probabilities") is None
    with pytest.raises(MalformedBodyError, match="gives no probabilities"):
        encode_infer(Answers(["b"], None), named, AnsweredBy("m", "1", ["a", "b"]))


@pytest.mark.parametrize(
    ("classes", "datatype"),
    [([0, 1], "INT64"), ([False, True], "BOOL"), ([0.5, 1], "FP64"), (["a", "b"], "BYTES"), ([0, 2**70], "BYTES")],
)
def test_metadata_names_the_columns_and_the_type_of_the_classes(classes: list[Any], datatype: str) -> None:
    described = model_metadata("flights", ["3"], MIXED.signature, classes=classes, engine="onnx")

    assert described == {
        "name": "flights",
        "versions": ["3"],
        "platform": "onnxruntime_onnx",
        "inputs": [
            {"name": "carrier", "datatype": "BYTES", "shape": [-1, 1]},
            {"name": "distance", "datatype": "FP64", "shape": [-1, 1]},
            {"name": "seats", "datatype": "INT64", "shape": [-1, 1]},
            {"name": "night", "datatype": "BOOL", "shape": [-1, 1]},
        ],
        "outputs": [
            {"name": "predict", "datatype": datatype, "shape": [-1]},
            {"name": "probabilities", "datatype": "FP64", "shape": [-1, 2]},
        ],
    }


def test_metadata_of_a_positional_regressor_is_one_matrix_and_one_number() -> None:
    described = model_metadata("d", ["1"], PAIR.signature, classes=None, engine="process")

    assert described["inputs"] == [{"name": "input-0", "datatype": "FP64", "shape": [-1, 2]}]
    assert described["outputs"] == [{"name": "predict", "datatype": "FP64", "shape": [-1]}]
    assert "binary_tensor_data" in server_metadata("1")["extensions"]


any_row = st.tuples(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.floats(allow_infinity=False),
    st.integers(-(2**53), 2**53),
    st.booleans(),
)


@given(st.lists(any_row, min_size=1, max_size=4), st.booleans())
def test_any_rows_come_through_the_client_unchanged(rows: list[tuple[str, float, int, bool]], binary: bool) -> None:
    carriers, distances, seats, nights = zip(*rows, strict=True)
    decoded = decode(
        [
            tensor("carrier", "BYTES", [carrier.encode() for carrier in carriers], binary=binary),
            tensor("distance", "FP64", distances, binary=binary),
            tensor("seats", "INT64", seats, binary=binary),
            tensor("night", "BOOL", nights, binary=binary),
        ]
    ).rows

    assert MIXED.rows(decoded).strings == [(carrier,) for carrier in carriers]
    np.testing.assert_array_equal(MIXED.rows(decoded).numbers, np.array([distances, seats, nights], dtype=np.float64).T)


@given(st.data())
def test_a_request_cut_or_changed_anywhere_gives_rows_or_an_error_of_ours(data: st.DataObject) -> None:
    raw, length = request_of(columns(binary=data.draw(st.booleans())), [InferRequestedOutput("predict")])
    body = bytearray(raw)
    position = data.draw(st.integers(0, len(body) - 1))
    body[position : position + data.draw(st.integers(0, 4))] = data.draw(
        st.sampled_from([b"", b"NaN", b"[", b"]", b'"', b"\xff", b"-1", b"{}", b"null", b"9" * 400])
    )
    try:
        rows = decode_infer(bytes(body), length, MIXED, classifier=True, max_rows=5).rows
    except ServingError as error:
        msgspec.json.encode(str(error))
    else:
        msgspec.json.encode(rows)
        assert len(MIXED.rows(rows)) == len(rows)
