"""Labels: what is taken for one, and what each becomes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import InvalidRowsError, RejectedError
from serving.feedback import decode_feedback, label_events
from streaming.codec import decode
from streaming.events import LabelEvent

NOW = datetime(2026, 11, 21, tzinfo=UTC)
EVENT_ID = "01a1fc46-c743-708d-9f4d-18da26096157"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["label", "event_id", "request_id", "row", "labelled_at", "model_name", "other"])


@given(st.binary(max_size=50) | st.dictionaries(FIELDS, JSON).map(msgspec.json.encode))
def test_any_body_is_labels_or_a_refusal(body: bytes) -> None:
    try:
        labels = decode_feedback(body, now=NOW, max_rows=10)
    except RejectedError:
        return
    assert all(label.event_id or label.request_id is not None for label in labels)
    assert all(label.row >= 0 for label in labels)


def test_an_event_id_is_kept_as_answers_write_it() -> None:
    body = msgspec.json.encode({"event_id": EVENT_ID.upper(), "label": 1})

    assert decode_feedback(body, now=NOW, max_rows=1)[0].event_id == EVENT_ID


def test_the_future_begins_a_minute_from_now() -> None:
    def sent(ahead: int) -> bytes:
        return msgspec.json.encode({"event_id": EVENT_ID, "label": 1, "labelled_at": NOW + timedelta(seconds=ahead)})

    assert decode_feedback(sent(60), now=NOW, max_rows=1)
    with pytest.raises(InvalidRowsError, match=r"body\.labelled_at: is more than 60 s ahead"):
        decode_feedback(sent(61), now=NOW, max_rows=1)


def test_a_time_that_utc_does_not_reach_is_refused() -> None:
    body = msgspec.json.encode({"event_id": EVENT_ID, "label": 1, "labelled_at": "0001-01-01T00:00:00+23:00"})

    with pytest.raises(InvalidRowsError, match=r"body\.labelled_at: is before the year 2"):
        decode_feedback(body, now=NOW, max_rows=1)


@pytest.fixture
def catalog(shelf: Callable[..., Any]) -> Any:
    stocked = shelf("flags", "counts", "price")
    stocked.add("flags", "1", classes=[False, True])
    stocked.add("counts", "1", classes=[0, 1, 10])
    stocked.add("price", "1")
    for name in ("flags", "counts", "price"):
        stocked.publish(name, 1, production="1")
        stocked.catalog.refresh(name)
    return stocked.catalog


def labelled(catalog: Any, label: Any, model: str) -> LabelEvent:
    body = msgspec.json.encode({"event_id": EVENT_ID, "label": label, "model_name": model})
    (event,) = label_events(decode_feedback(body, now=NOW, max_rows=1), catalog, now=NOW)
    decoded = decode(event)
    assert isinstance(decoded, LabelEvent)
    return decoded


@pytest.mark.parametrize(
    ("model", "label", "kept"),
    [("flags", True, True), ("flags", "True", True), ("counts", "10", 10), ("counts", 10.0, 10), ("price", 3, 3.0)],
)
def test_a_label_becomes_the_models_class(catalog: Any, model: str, label: Any, kept: Any) -> None:
    event = labelled(catalog, label, model)

    assert (event.label, type(event.label)) == (kept, type(kept))
    assert (event.labelled_at, event.recorded_at) == (NOW, NOW)


@pytest.mark.parametrize(("model", "label"), [("flags", 1), ("counts", True), ("counts", 0.5), ("price", "3")])
def test_another_label_is_refused_with_what_there_is(catalog: Any, model: str, label: Any) -> None:
    with pytest.raises(InvalidRowsError, match=r"body\.label: .*(its classes: |is a regressor: send a number)"):
        labelled(catalog, label, model)
