"""Who may call, what happens to a field that only some know, and what a caller hears when nothing can be answered."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

Keyed = tuple[Any, dict[str, str]]


@pytest.mark.parametrize("path", ["/predict", "/invocations", "/v2/models/iris/infer", "/feedback"])
def test_without_a_known_key_nothing_is_answered(keyed: Keyed, iris: dict[str, Any], path: str) -> None:
    api, _ = keyed
    none, wrong = api.post(path, iris), api.post(path, iris, x_api_key="us_wrong")

    assert (none.status, wrong.status) == (401, 401)
    assert none.headers["www-authenticate"] == "Bearer"
    assert "send it as 'Authorization: Bearer KEY'" in none.body.decode()
    assert "not known" in wrong.body.decode()
    assert api.events() == []


def test_both_ways_to_send_a_key_are_taken(keyed: Keyed, iris: dict[str, Any]) -> None:
    api, keys = keyed

    assert api.post("/predict", iris, x_api_key=keys["caller"]).status == 200
    assert api.post("/predict", iris, authorization=f"Bearer {keys['caller']}").status == 200


def test_a_key_without_the_scope_is_a_403_that_names_it(keyed: Keyed, iris: dict[str, Any]) -> None:
    api, keys = keyed
    answers = {
        "predict": api.post("/predict", iris, x_api_key=keys["labeller"]),
        "feedback": api.post("/feedback", {"request_id": "r", "label": 1}, x_api_key=keys["caller"]),
        "metrics": api.get("/metrics", x_api_key=keys["caller"]),
        "simulate": api.post("/predict", iris, x_api_key=keys["caller"], x_event_time="2013-03-01T06:15:00Z"),
    }

    for scope, answer in answers.items():
        assert (answer.status, answer.json["error_type"]) == (403, "forbidden")
        assert repr(scope) in answer.json["detail"]
    assert api.events() == []
    assert api.get("/metrics", x_api_key=keys["scraper"]).status == 200
    assert api.get("/models").status == 401


def test_a_simulating_key_sets_the_event_time(keyed: Keyed, iris: dict[str, Any]) -> None:
    api, keys = keyed
    asked = {"x_api_key": keys["player"], "x_event_time": "2013-03-01T06:15:00+01:00"}

    answer = api.post("/predict", iris, **asked)
    api.post("/feedback", {"event_id": answer.headers["x-event-id"], "label": 1}, **asked)

    prediction, label = api.events()
    assert (prediction.event_time, prediction.source) == (datetime(2013, 3, 1, 5, 15, tzinfo=UTC), "simulated")
    assert prediction.recorded_at > datetime(2026, 1, 1, tzinfo=UTC)
    assert label.source == "simulated"


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ("yesterday", "not an ISO 8601 time"),
        ("2013-03-01T06:15:00", "no time zone"),
        ((datetime.now(UTC) + timedelta(hours=1)).isoformat(), "60 s ahead"),
    ],
)
def test_an_event_time_that_cannot_be_is_a_422(keyed: Keyed, iris: dict[str, Any], sent: str, problem: str) -> None:
    api, keys = keyed
    answer = api.post("/predict", iris, x_api_key=keys["player"], x_event_time=sent)

    assert answer.status == 422
    assert problem in answer.problems["header.x-event-time"]
    assert api.events() == []


def test_unknown_fields_are_left_out_where_told_to_ignore_them(keyed: Keyed, iris: dict[str, Any]) -> None:
    api, keys = keyed
    answer = api.post("/predict", {**iris, "who": "me"}, x_api_key=keys["caller"])

    assert answer.status == 200
    assert [event.features for event in api.events()] == [iris]


def test_a_model_without_production_version_is_a_503_with_reason(keyed: Keyed, iris: dict[str, Any]) -> None:
    api, keys = keyed
    answers = [api.post("/predict/absent", iris, x_api_key=keys["caller"])]
    answers.append(api.post("/v2/models/absent/infer", iris, x_api_key=keys["caller"]))
    ready = api.get("/ready")

    assert ready.status == 503
    assert ready.headers["retry-after"]
    assert "'absent' has no production version yet" in ready.json["problems"][0]
    assert api.get("/health").status == 200
    assert api.get("/ping").status == 503
    for answer in answers:
        assert answer.status == 503
        assert "'absent' has no production version yet" in answer.body.decode()
        assert int(answer.headers["retry-after"]) >= 1
    assert api.events() == []


@pytest.fixture(scope="session")
def crowded(start_api: Callable[..., Any], fast_path: str) -> Any:
    return start_api(FAST_PATH=fast_path, MODELS="iris", RATE_LIMIT_PER_SECOND="5")


def test_over_the_rate_is_a_429_that_says_when(crowded: Any, iris: dict[str, Any]) -> None:
    crowded.events()
    answers = [crowded.post("/predict", iris) for _ in range(12)]

    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert {answer.status for answer in answers} == {200, 429}
    assert "more than 5 requests a second" in refused[0].json["detail"]
    assert int(refused[0].headers["retry-after"]) >= 1
    assert len(crowded.events()) == len(answers) - len(refused)


@pytest.fixture(scope="session")
def small(start_api: Callable[..., Any], fast_path: str) -> Any:
    return start_api(FAST_PATH=fast_path, MODELS="iris", LOG_MAX_BYTES="60000")


def test_a_full_log_is_a_503_and_nothing_unrecorded_is_answered(small: Any, iris: dict[str, Any]) -> None:
    answers = [small.post("/predict", [iris] * 10) for _ in range(60)]

    full = [answer for answer in answers if answer.status == 503]
    assert full
    assert {answer.status for answer in answers} == {200, 503}
    assert full[0].json["error_type"] == "not_recorded"
    assert "LOG_MAX_BYTES=60000" in full[0].json["detail"]
    assert "start the reader, free the disk, or raise the limit" in full[0].json["detail"]
    assert int(full[0].headers["retry-after"]) >= 1
    ready = small.get("/ready")
    assert ready.status == 503
    assert "cannot be recorded" in ready.json["problems"][0]
    label = small.post("/feedback", [{"request_id": "r", "label": 1}] * 100)
    assert label.status == 503
    recorded = [event.event_id for event in small.events()]
    assert recorded == [event_id for answer in answers if answer.status == 200 for event_id in answer.json["event_ids"]]


@pytest.fixture(scope="session")
def shadowed(start_api: Callable[..., Any], fast_path: str) -> Any:
    api = start_api(FAST_PATH=fast_path, MODELS="iris")
    api.publish("iris", 2, production="1", shadow="3")
    return api


def test_a_field_only_the_shadow_knows_is_recorded_for_it(
    shadowed: Any, iris: dict[str, Any], until: Callable[..., None]
) -> None:
    until(lambda: "shadow" in shadowed.get("/models").json["models"][0]["roles"])
    shadowed.events()

    coloured = shadowed.post("/predict", {**iris, "colour": "red"})
    plain = shadowed.post("/predict", iris)
    unknown = shadowed.post("/predict", {**iris, "color": "red"})

    assert (coloured.status, plain.status, unknown.status) == (200, 200, 422)
    assert [event.features for event in shadowed.events()] == [{**iris, "colour": "red"}, iris]


def test_the_shadow_can_be_asked_directly_and_needs_its_own_fields(
    shadowed: Any, iris: dict[str, Any], until: Callable[..., None]
) -> None:
    until(lambda: "shadow" in shadowed.get("/models").json["models"][0]["roles"])
    shadowed.events()

    direct = shadowed.post("/predict?role=shadow", {**iris, "colour": None})
    by_version = shadowed.post("/predict/iris?version=3", {**iris, "colour": "blue"})
    lacking = shadowed.post("/predict?role=shadow", iris)

    assert (direct.status, by_version.status, lacking.status) == (200, 200, 422)
    assert direct.headers["x-model-version"] == by_version.headers["x-model-version"] == "3"
    assert "required" in lacking.problems["body.colour"]
    assert [(event.role, event.model_version) for event in shadowed.events()] == [("direct", "3")] * 2
