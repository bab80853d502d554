"""Whatever is wrong with a request, its caller is told the field, the problem and the fix, and nothing is recorded."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

PETAL = "petal width (cm)"


MALFORMED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "the body is empty"),
    "blank": (b"  \n", "the body is empty"),
    "cut off": (b'{"a": 1', "not valid JSON: .*line 1"),
    "trailing text": (b'{"a": 1} x', "not valid JSON: .*column 10"),
    "not UTF-8": (b'{"caf\xe9": 1}', "not UTF-8: bad byte at position 5"),
    "a number": (b"5", "the body is the number 5: send an object"),
    "a string": (b'"row"', "the body is the string 'row': send an object"),
    "null": (b"null", "the body is null: send an object"),
    "two envelopes": (b'{"instances": [], "inputs": []}', "instances and inputs: send one"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_no_body_is_a_400_that_says_where(api: Any, case: str) -> None:
    body, message = MALFORMED[case]

    answer = api.post("/predict", body, x_request_id="bad-1")

    assert answer.status == 400, answer.body
    assert answer.json["error_type"] == "malformed_body"
    assert_matches(message, answer.json["detail"])
    assert answer.headers["x-request-id"] == "bad-1"
    assert "x-event-id" not in answer.headers
    assert api.events() == []


def assert_matches(pattern: str, text: str) -> None:
    assert re.search(pattern, text), text


Change = Callable[[dict[str, Any]], Any]
FIELDS: dict[str, tuple[str, Change, str, str]] = {
    "missing": ("iris", lambda row: without(row, PETAL), f"body.{PETAL}", "required: add it"),
    "unknown": ("iris", lambda row: {**row, "petal widht (cm)": 1}, "body.petal widht (cm)", "did you mean 'petal"),
    "quoted number": (
        "iris",
        lambda row: {**row, PETAL: "0.2"},
        f"body.{PETAL}",
        "expected a number, got the string '0.2': leave out the quotes",
    ),
    "boolean for a number": ("iris", lambda row: {**row, PETAL: True}, f"body.{PETAL}", "expected a number, got true"),
    "object for a number": (
        "iris",
        lambda row: {**row, PETAL: {"a": 1}},
        f"body.{PETAL}",
        "expected a number, got an object",
    ),
    "too large a number": ("iris", lambda row: {**row, PETAL: 10**400}, f"body.{PETAL}", "too large|not a JSON number"),
    "null for an integer": (
        "trips",
        lambda row: {**row, "hour": None},
        "body.hour",
        "null is not allowed in this column: send an integer",
    ),
    "a fraction for an integer": (
        "trips",
        lambda row: {**row, "hour": 3.5},
        "body.hour",
        "expected an integer, got the number 3.5",
    ),
    "an inexact integer": ("trips", lambda row: {**row, "hour": 2**53 + 1}, "body.hour", "beyond ±2\\*\\*53"),
    "a number for a string": (
        "trips",
        lambda row: {**row, "carrier": 5},
        "body.carrier",
        "expected a string, got the number 5",
    ),
    "a number for a boolean": (
        "trips",
        lambda row: {**row, "wet": 1},
        "body.wet",
        "expected true or false, got the number 1",
    ),
    "in a list": (
        "trips",
        lambda row: [row, {**row, "wet": "true"}],
        "body.1.wet",
        "expected true or false, got the string 'true': leave out the quotes",
    ),
    "in an envelope": (
        "trips",
        lambda row: {"instances": [row, without(row, "hour")]},
        "body.instances.1.hour",
        "required",
    ),
    "in a split": (
        "trips",
        lambda row: {"dataframe_split": {"columns": ["hour", "Carrier"], "data": [[1, "AA"]]}},
        "body.dataframe_split.data.columns.wet",
        "required: add it",
    ),
    "too few values": ("iris", lambda row: [[1.0, 2.0, 3.0]], "body.0", "expected 4 values, one per column, got 3"),
    "too many values": (
        "iris",
        lambda row: {"instances": [[1.0, 2.0, 3.0, 4.0], [1.0] * 5]},
        "body.instances.1",
        "expected 4 values, one per column, got 5",
    ),
    "a row that is no row": (
        "iris",
        lambda row: [row, 7],
        "body.1",
        "expected an object of column to value, got the number 7",
    ),
    "ragged columns": (
        "iris",
        lambda row: {"inputs": {name: [1.0] * (1 + (name == PETAL)) for name in row}},
        f"body.inputs.{PETAL}",
        "other rows than the first",
    ),
    "something beside an envelope": (
        "iris",
        lambda row: {"instances": [row], "rows": 1},
        "body.rows",
        "not known beside 'instances': leave it out",
    ),
    "an empty list": ("iris", lambda row: [], "body", "no row: send at least one"),
    "an empty envelope": ("iris", lambda row: {"instances": []}, "body.instances", "no row: send at least one"),
    "an empty object": ("iris", lambda row: {}, f"body.{PETAL}", "required: add it"),
}


def without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


@pytest.mark.parametrize("case", FIELDS)
def test_a_bad_field_is_a_422_that_names_it(api: Any, iris: dict[str, Any], trip: dict[str, Any], case: str) -> None:
    model, change, place, message = FIELDS[case]

    answer = api.post(f"/predict/{model}", change(iris if model == "iris" else trip))

    assert answer.status == 422, answer.body
    assert place in answer.problems, answer.problems
    assert_matches(message, answer.problems[place])
    assert {"loc", "msg", "type"} == set(answer.json["detail"][0])
    assert answer.headers["x-request-id"]
    assert api.events() == []


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_json_has_not_gets_the_hint_to_send_null(api: Any, iris: dict[str, Any], literal: str) -> None:
    body = json.dumps({**iris, PETAL: "@"}).replace('"@"', literal).encode()

    answer = api.post("/predict", body)

    assert answer.status == 422, answer.body
    assert literal in answer.problems[f"body.{PETAL}"]
    assert "send null" in answer.problems[f"body.{PETAL}"]
    assert api.events() == []


def test_all_bad_fields_are_told_at_once(api: Any, trip: dict[str, Any]) -> None:
    answer = api.post("/predict/trips", {"hour": "x", "carrier": 1, "wet": None, "Distance km": 1.0})

    assert set(answer.problems) == {f"body.{name}" for name in ("hour", "carrier", "wet", "distance km", "Distance km")}


def test_half_a_surrogate_pair_is_refused_as_it_could_not_be_recorded(api: Any, trip: dict[str, Any]) -> None:
    answer = api.post("/predict/trips", json.dumps({**trip, "carrier": "@"}).replace("@", "\\ud800").encode())

    assert answer.status in {400, 422}
    assert "surrogate pair" in answer.body.decode()
    assert api.events() == []


def test_limits_are_413_with_the_setting_that_raises_them(api: Any, iris: dict[str, Any]) -> None:
    rows = api.post("/predict", [iris] * 51)
    depth = api.post("/predict", b'{"a":' * 7 + b"1" + b"}" * 7)
    bomb = api.post("/predict", b"[" * 90_000)
    body = api.post("/predict", b'"' + b"a" * 100_001 + b'"')
    invocations = api.post("/invocations", b"a" * 100_001)
    inference = api.post("/v2/models/iris/infer", b"a" * 100_001)

    assert {one.status for one in (rows, depth, bomb, body, invocations, inference)} == {413}
    assert "MAX_BATCH_ROWS (50)" in rows.json["detail"]
    assert "deeper than 6 levels" in depth.json["detail"]
    assert "deeper than 6 levels" in bomb.json["detail"]
    for answer in (body, invocations):
        assert "MAX_BODY_BYTES (100000)" in answer.json["detail"]
    assert "MAX_BODY_BYTES (100000)" in inference.json["error"]
    assert api.events() == []


@pytest.mark.parametrize("media", ["text/csv", "application/x-www-form-urlencoded", "text/plain; charset=utf-8"])
def test_another_content_type_is_a_415(api: Any, iris: dict[str, Any], media: str) -> None:
    answer = api.post("/predict", iris, content_type=media)

    assert answer.status == 415
    assert media.split(";", maxsplit=1)[0] in answer.json["detail"]
    assert "content-type: application/json" in answer.json["detail"]
    assert api.events() == []


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"])
def test_json_by_another_name_is_taken(api: Any, iris: dict[str, Any], media: str) -> None:
    assert api.post("/predict", iris, content_type=media).status == 200


def test_no_content_type_is_taken_for_json(api: Any, iris: dict[str, Any]) -> None:
    assert api.ask("POST", "/predict", json.dumps(iris).encode()).status == 200


@pytest.mark.parametrize("name", ["roses", "iris%20", "%C3%BC", "../iris", "Iris"])
def test_an_unknown_model_is_a_404_that_lists_the_models(api: Any, iris: dict[str, Any], name: str) -> None:
    answer = api.post(f"/predict/{name}", iris)

    assert answer.status == 404
    assert answer.json["error_type"] == "unknown_model"
    if "/" not in name:
        assert "served: iris, trips, price" in answer.json["detail"]
    assert api.events() == []


def test_an_unknown_version_or_role_is_a_404_that_lists_what_there_is(api: Any, iris: dict[str, Any]) -> None:
    version = api.post("/predict?version=9", iris)
    role = api.post("/predict?role=shadow", iris)

    assert (version.status, role.status) == (404, 404)
    assert "loaded versions: 1" in version.json["detail"]
    assert "roles: production" in role.json["detail"]
    assert api.events() == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_another_method_is_a_405_that_names_the_right_one(api: Any, method: str) -> None:
    answer = api.ask(method, "/predict")

    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
    if method != "HEAD":
        assert "use POST" in answer.json["detail"]


def test_an_unknown_address_says_where_to_look(api: Any) -> None:
    answer = api.get("/prediction")

    assert answer.status == 404
    assert "/prediction" in answer.json["detail"]
    assert "/docs" in answer.json["detail"]


CSV = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n"
INVOCATIONS: dict[str, tuple[bytes, str, int, str]] = {
    "empty": (b"", "text/csv", 400, "send a header line"),
    "header only": (CSV.encode(), "text/csv", 422, "no row: send at least one"),
    "a word for a number": (f"{CSV}5,3,1,wide\n".encode(), "text/csv", 422, "expected a number, got the string 'wide'"),
    "too few cells": (f"{CSV}5,3,1\n".encode(), "text/csv", 422, "expected 4 values"),
    "a missing column": (b"sepal length (cm)\n5\n", "text/csv", 422, "petal width"),
    "another charset": (CSV.encode(), "text/csv; charset=latin-1", 415, "send UTF-8"),
    "another type": (b"x", "application/octet-stream", 415, "send application/json or text/csv"),
    "malformed": (b"{", "application/json", 400, "not valid JSON"),
    "a bad field": (b'{"instances": [{"petal width (cm)": "x"}]}', "application/json", 422, "expected a number"),
}


@pytest.mark.parametrize("case", INVOCATIONS)
def test_invocations_refuses_in_words(api: Any, case: str) -> None:
    body, media, status, message = INVOCATIONS[case]

    answer = api.post("/invocations", body, content_type=media)

    assert answer.status == status, answer.body
    assert message in answer.body.decode()
    assert api.events() == []
