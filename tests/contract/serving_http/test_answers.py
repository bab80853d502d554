"""Every form of asking gets the same answer, in the headers as in the body, and each row is recorded once."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args
from uuid import UUID

import pandas as pd
import pytest

VIRGINICA = [6.3, 3.3, 6.0, 2.5]


def rows_of(iris: dict[str, float]) -> tuple[list[str], list[list[float]], list[dict[str, float]]]:
    names = list(iris)
    data = [list(iris.values()), VIRGINICA]
    return names, data, [dict(zip(names, row, strict=True)) for row in data]


def test_a_flat_record_is_answered_and_recorded_as_sent(api: Any, iris: dict[str, float]) -> None:
    answer = api.post("/predict", iris, x_request_id="order-7")

    assert answer.status == 200
    assert answer.json["prediction"] == [0]
    assert sum(answer.json["probabilities"][0].values()) == pytest.approx(1.0, abs=1e-5)
    assert "event_ids" not in answer.json
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"] == "order-7"
    assert (answer.headers["x-model-name"], answer.headers["x-model-version"]) == ("iris", "1")
    (event,) = api.events()
    assert event.event_id == answer.headers["x-event-id"]
    assert UUID(event.event_id).version == 7
    assert (event.request_id, event.model_name, event.model_version) == ("order-7", "iris", "1")
    assert (event.role, event.source, event.outcome, event.row) == ("production", "http", "ok", 0)
    assert event.features == iris
    assert (event.prediction, event.prediction_value) == ("0", 0.0)
    assert event.probabilities == answer.json["probabilities"][0]
    assert abs(event.event_time - datetime.now(UTC)) < timedelta(seconds=30)


Orient = Literal["columns", "index", "records", "split", "table", "values"]
Form = Callable[[list[str], list[list[float]], list[dict[str, float]]], Any]
ORIENTS: tuple[Orient, ...] = get_args(Orient)


def to_json(orient: Orient) -> Form:
    return lambda names, data, records: json.loads(pd.DataFrame(data, columns=names).to_json(orient=orient))


FORMS: dict[str, Form] = {
    "instances": lambda names, data, records: {"instances": records},
    "instances of lists": lambda names, data, records: {"instances": data},
    "inputs of columns": lambda names, data, records: {
        "inputs": dict(zip(names, zip(*data, strict=True), strict=True))
    },
    "inputs of records": lambda names, data, records: {"inputs": records},
    "inputs of lists": lambda names, data, records: {"inputs": data},
    "dataframe_split": lambda names, data, records: {"dataframe_split": {"columns": names, "data": data}},
    "dataframe_split with index": lambda names, data, records: {
        "dataframe_split": {"index": [0, 1], "columns": names, "data": data}
    },
    "dataframe_records": lambda names, data, records: {"dataframe_records": records},
    "list of records": lambda names, data, records: records,
    "list of lists": lambda names, data, records: data,
    **{f"DataFrame.to_json orient={orient}": to_json(orient) for orient in ORIENTS},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", ["/predict", "/predict/iris"])
def test_every_body_form_gets_the_same_answers_and_events(
    api: Any, iris: dict[str, float], form: str, path: str
) -> None:
    names, data, records = rows_of(iris)

    answer = api.post(path, FORMS[form](names, data, records))

    assert answer.status == 200, answer.body
    assert answer.json["prediction"] == [0, 2]
    events = api.events()
    assert [event.event_id for event in events] == answer.json["event_ids"]
    assert answer.headers["x-event-id"] == answer.json["event_ids"][0]
    assert [event.features for event in events] == records
    assert [event.row for event in events] == [0, 1]
    assert {event.request_id for event in events} == {answer.headers["x-request-id"]}


def test_mixed_types_and_nulls_are_answered(api: Any, trip: dict[str, Any]) -> None:
    rows = [trip, {**trip, "carrier": None}, {**trip, "hour": 3.0, "wet": False, "carrier": "Ünseen \U0001f600"}]

    answer = api.post("/predict/trips", rows)

    assert answer.status == 200, answer.body
    assert answer.json["prediction"] == ["late", "late", "on time"]
    assert list(answer.json["probabilities"][0]) == ["late", "on time"]
    events = api.events()
    assert [event.features["carrier"] for event in events] == ["AA", None, "Ünseen \U0001f600"]
    assert events[0].score == events[0].probabilities["on time"]
    assert events[0].prediction_value is None


def test_a_null_the_model_refuses_is_named_and_recorded_as_an_error(api: Any) -> None:
    answer = api.post("/predict/price", {"rooms": 3, "area": None})

    (event,) = api.events()
    assert (answer.status, answer.json["error_type"]) == (422, "refused_rows")
    assert "'area'" in answer.json["detail"]
    assert (event.outcome, event.error_type) == ("error", "refused_rows")


def test_a_regressor_answers_numbers_without_probabilities(api: Any) -> None:
    answer = api.post("/predict/price", {"rooms": 3, "area": 80.0})

    assert answer.status == 200
    assert answer.json == {"prediction": [pytest.approx(169.0, abs=1e-2)]}
    (event,) = api.events()
    assert event.prediction_value == answer.json["prediction"][0]
    assert event.probabilities is None


@pytest.mark.parametrize(("sent", "echoed"), [("a" * 300, "a" * 128), ("a b", "a b"), ("caf\xe9", None), ("", None)])
def test_a_request_id_is_echoed_shortened_or_made(
    api: Any, iris: dict[str, float], sent: str, echoed: str | None
) -> None:
    answer = api.post("/predict", iris, x_request_id=sent)

    (event,) = api.events()
    assert answer.headers["x-request-id"] == (event.event_id if echoed is None else echoed)
    assert event.request_id == answer.headers["x-request-id"]


def test_event_ids_are_unique_and_their_times_never_go_back(api: Any, iris: dict[str, float]) -> None:
    ids = [api.post("/predict", iris).headers["x-event-id"] for _ in range(20)]

    assert len(set(ids)) == 20
    milliseconds = [event_id[:13] for event_id in ids]
    assert sorted(milliseconds) == milliseconds
    assert [event.event_id for event in api.events()] == ids


def test_a_named_version_or_role_is_direct(api: Any, iris: dict[str, float]) -> None:
    for query in ("?version=1", "?role=production"):
        answer = api.post(f"/predict{query}", iris)
        assert (answer.status, answer.headers["x-model-version"]) == (200, "1")

    assert [event.role for event in api.events()] == ["direct", "direct"]


def test_invocations_answers_as_mlflow_does_and_drops_unknown_columns(api: Any, iris: dict[str, float]) -> None:
    names, data, records = rows_of(iris)
    before = dropped(api)

    split = api.post("/invocations", {"dataframe_split": {"columns": names, "data": data}})
    more = api.post("/invocations", {"dataframe_records": [{**row, "who": "me"} for row in records]})
    table = "\n".join([",".join([*names, "who"]), *(",".join([*map(str, row), "me"]) for row in data)])
    text = api.post("/invocations", table.encode(), content_type="text/csv")

    assert [split.json, more.json, text.json] == [{"predictions": [0, 2]}] * 3
    assert [event.features for event in api.events()] == records * 3
    assert dropped(api) - before == 4


def dropped(api: Any) -> float:
    return samples(api).get('extra_fields_total{model_name="iris"}', 0.0)


def samples(api: Any) -> dict[str, float]:
    lines = [line for line in api.get("/metrics").body.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_counters_equal_the_answers_exactly(api: Any, iris: dict[str, float]) -> None:
    name = 'predictions_total{model_name="iris",model_version="1",outcome="ok",role="production"}'
    durations = 'prediction_duration_seconds_count{model_name="iris",model_version="1",role="production"}'
    refused = 'rejected_total{reason="invalid_rows"}'
    before = samples(api)

    for count in (1, 1, 7):
        assert api.post("/predict", [iris] * count).status == 200
    assert api.post("/predict", {"petal": 1}).status == 422
    assert api.post("/invocations", [iris]).status == 200

    after = samples(api)
    assert after[name] - before.get(name, 0) == 10
    assert after[durations] - before.get(durations, 0) == 4
    assert after[refused] - before.get(refused, 0) == 1
    assert len(api.events()) == 10


def test_operations_say_what_is_served(api: Any, iris: dict[str, float]) -> None:
    assert api.get("/health").json == {"status": "alive"}
    assert api.get("/ready").json == {"status": "ready", "problems": []}
    assert (api.get("/ping").status, api.get("/version").status) == (200, 200)
    assert api.get("/version").body.decode()[0].isdigit()
    models = {one["model_name"]: one for one in api.get("/models").json["models"]}
    assert list(models) == ["iris", "trips", "price"]
    production = models["iris"]["roles"]["production"]
    assert (production["model_version"], production["engine"], production["classes"]) == ("1", "onnx", [0, 1, 2])
    assert production["parity"]["differing_labels"] == 0
    assert [column["name"] for column in production["columns"]] == list(iris)
    columns = {column["name"]: column for column in models["trips"]["roles"]["production"]["columns"]}
    assert columns["carrier"]["nullable"] is True
    assert set(columns["carrier"]["values"]) >= {"AA", "UA", "東"}
    assert api.events() == []
