import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import ShedError
from serving.limits import InFlight, RateLimit


def test_a_key_may_use_a_seconds_worth_at_once_and_then_its_rate() -> None:
    limit = RateLimit(2.0)
    limit.take("a", 0.0)
    limit.take("a", 0.0)

    with pytest.raises(ShedError, match="more than 2 requests a second") as caught:
        limit.take("a", 0.25)

    assert caught.value.retry_after_seconds == pytest.approx(0.25)
    limit.take("a", 0.5)


def test_keys_do_not_share_a_rate() -> None:
    limit = RateLimit(1.0)

    limit.take("a", 0.0)
    limit.take("b", 0.0)


def test_zero_is_no_limit() -> None:
    limit = RateLimit(0.0)

    for _ in range(1000):
        limit.take("a", 0.0)


def test_a_rate_below_one_a_second_still_takes_a_first_request() -> None:
    limit = RateLimit(0.1)
    limit.take("a", 0.0)

    with pytest.raises(ShedError) as caught:
        limit.take("a", 1.0)

    assert caught.value.retry_after_seconds == pytest.approx(9.0)


@given(st.floats(0.1, 50), st.lists(st.floats(0, 1), max_size=80))
def test_no_pattern_of_calls_gets_more_than_the_rate_and_its_burst(rate: float, gaps: list[float]) -> None:
    limit, now, taken = RateLimit(rate), 0.0, 0
    waits: list[float] = []
    for gap in gaps:
        now += gap
        try:
            limit.take("a", now)
        except ShedError as error:
            waits.append(error.retry_after_seconds or 0.0)
        else:
            taken += 1

    assert all(wait > 0 for wait in waits)
    assert taken <= max(rate, 1) + rate * now + 1e-6


def test_a_full_worker_turns_requests_away_until_one_leaves() -> None:
    in_flight = InFlight(1)
    in_flight.enter()

    with pytest.raises(ShedError, match="in flight") as caught:
        in_flight.enter()

    assert caught.value.retry_after_seconds == 1.0
    in_flight.leave()
    in_flight.enter()
    assert in_flight.count == 1
