"""/feedback: labels are checked against the model's classes and recorded, or refused in words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest


def moment(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


@pytest.fixture
def event_id(api: Any, iris: dict[str, Any]) -> str:
    answer = api.post("/predict", iris)
    api.events()
    return str(answer.headers["x-event-id"])


def test_a_label_by_event_id_is_recorded(api: Any, event_id: str) -> None:
    answer = api.post("/feedback", {"event_id": event_id, "label": 2, "labelled_at": "2026-01-02T03:04:05+02:00"})

    assert (answer.status, answer.json) == (200, {"recorded": 1})
    (label,) = api.events()
    assert (label.event_id, label.label, label.model_name, label.source) == (event_id, 2, "iris", "http")
    assert label.labelled_at == datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)


def test_labels_by_request_id_and_row_are_recorded_as_a_list(api: Any) -> None:
    rows = [{"request_id": "order-7", "row": row, "label": row, "model_name": "iris"} for row in range(3)]

    assert api.post("/feedback", rows).json == {"recorded": 3}
    labels = api.events()
    assert [(label.request_id, label.row, label.label) for label in labels] == [("order-7", n, n) for n in range(3)]
    assert all(label.labelled_at <= datetime.now(UTC) for label in labels)


@pytest.mark.parametrize(
    ("model", "sent", "kept"),
    [("iris", "1", 1), ("iris", 1.0, 1), ("iris", 0, 0), ("trips", "late", "late"), ("price", 7, 7.0)],
)
def test_a_label_takes_its_models_class_type(api: Any, event_id: str, model: str, sent: Any, kept: Any) -> None:
    assert api.post("/feedback", {"event_id": event_id, "label": sent, "model_name": model}).status == 200

    (label,) = api.events()
    assert (label.label, type(label.label)) == (kept, type(kept))


@pytest.mark.parametrize(
    ("change", "place", "message"),
    [
        ({"label": 3}, "body.label", "3 is no class of iris; its classes: 0, 1, 2"),
        ({"label": "setosa"}, "body.label", "its classes: 0, 1, 2"),
        ({"label": True}, "body.label", "its classes: 0, 1, 2"),
        ({"label": 1.5}, "body.label", "its classes: 0, 1, 2"),
        ({"label": None}, "body.label", "expected"),
        ({"label": {}}, "body.label", "expected"),
        ({"label": "x", "model_name": "price"}, "body.label", "price is a regressor: send a number"),
        ({"event_id": None}, "body.event_id", "name the row"),
        ({"event_id": 7}, "body.event_id", "expected"),
        ({"event_id": "order-7"}, "body.event_id", "x-event-id"),
        ({"row": -1, "request_id": "r"}, "body.row", ">= 0"),
        ({"row": "1", "request_id": "r"}, "body.row", "expected"),
        ({"labelled_at": "2026-01-02T03:04:05"}, "body.labelled_at", "no time zone: end it with Z"),
        ({"labelled_at": "yesterday"}, "body.labelled_at", "date"),
        ({"labelled_at": moment(seconds=3600)}, "body.labelled_at", "more than 60 s ahead of the server's clock"),
        ({"lable": 1}, "body.lable", "no such field"),
    ],
)
def test_a_bad_label_is_a_422_that_names_the_field(
    api: Any, event_id: str, change: dict[str, Any], place: str, message: str
) -> None:
    body = {"event_id": event_id, "label": 1} | change

    answer = api.post("/feedback", body)
    listed = api.post("/feedback", [{"event_id": event_id, "label": 1}, body])
    alone = api.post("/feedback", [body])

    assert (answer.status, listed.status, alone.status) == (422, 422, 422), answer.body
    assert message in answer.problems.get(place, ""), answer.problems
    assert message in listed.problems.get(place.replace("body", "body.1", 1), ""), listed.problems
    assert message in alone.problems.get(place.replace("body", "body.0", 1), ""), alone.problems
    assert api.events() == []


def test_a_clock_that_is_a_little_ahead_is_forgiven(api: Any, event_id: str) -> None:
    body = {"event_id": event_id, "label": 1, "labelled_at": moment(seconds=30)}

    assert api.post("/feedback", body).status == 200


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "not valid JSON"),
        (b"", 400, "empty"),
        (b'{"label": NaN, "event_id": "x"}', 422, "NaN"),
        (b"[]", 422, "send at least one"),
        (b"5", 422, "an object"),
        (b"[" * 50_000, 413, "deeper than"),
        (b"[" + b",".join([b"{}"] * 51) + b"]", 413, "MAX_BATCH_ROWS (50)"),
        (b'{"label": 1, "model_name": "roses", "request_id": "r"}', 404, "served: iris, trips, price"),
    ],
)
def test_what_is_no_feedback_is_refused_in_words(api: Any, body: bytes, status: int, message: str) -> None:
    answer = api.post("/feedback", body)

    assert answer.status == status, answer.body
    assert message in answer.body.decode()
    assert api.events() == []


def test_another_content_type_is_a_415(api: Any) -> None:
    assert api.post("/feedback", b"label=1", content_type="text/plain").status == 415
