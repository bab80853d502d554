"""What headers say, and what is made of those that say nonsense."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import InvalidRowsError, UnsupportedMediaError
from serving.request import event_time, read_headers, require_json

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@given(st.binary())
def test_a_request_id_is_printable_ascii_of_128_characters_or_nothing(value: bytes) -> None:
    request_id = read_headers([(b"x-request-id", value)]).request_id

    assert len(request_id) <= 128
    assert request_id.isascii()
    assert request_id == "" or request_id.isprintable()


def test_both_credentials_are_read_and_authorization_wins() -> None:
    assert read_headers([(b"x-api-key", b"k")]).credential == b"k"
    assert read_headers([(b"x-api-key", b"k"), (b"authorization", b"Bearer a")]).credential == b"Bearer a"
    assert read_headers([]).credential is None


def test_an_event_time_is_taken_to_utc() -> None:
    assert event_time(b"2013-03-01T06:15:00+01:00", NOW) == datetime(2013, 3, 1, 5, 15, tzinfo=UTC)
    assert event_time(b"2013-03-01T06:15:00Z", NOW) == datetime(2013, 3, 1, 6, 15, tzinfo=UTC)


@pytest.mark.parametrize("ahead", [0, 60])
def test_a_clock_up_to_a_minute_ahead_is_forgiven(ahead: int) -> None:
    moment = NOW + timedelta(seconds=ahead)

    assert event_time(moment.isoformat().encode(), NOW) == moment


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"tomorrow", "ISO 8601"),
        (b"\xff", "ISO 8601"),
        (b"2013-03-01T06:15:00", "time zone"),
        (b"2026-11-21T00:01:01Z", "60 s"),
        (b"0001-01-01T00:00:00+23:00", "before the year 1"),
    ],
)
def test_other_event_times_are_refused_by_name(value: bytes, problem: str) -> None:
    with pytest.raises(InvalidRowsError, match=problem) as refused:
        event_time(value, NOW)

    assert refused.value.problems[0].loc == ("header", "x-event-time")


@pytest.mark.parametrize("media", [None, b"application/json", b"APPLICATION/JSON;charset=utf-8", b"application/a+json"])
def test_json_passes(media: bytes | None) -> None:
    require_json(media)


@pytest.mark.parametrize("media", [b"", b"text/json", b"application/jsonlines", b"application/xml", b"a+json"])
def test_what_is_not_json_does_not(media: bytes) -> None:
    with pytest.raises(UnsupportedMediaError, match="content-type: application/json"):
        require_json(media)
