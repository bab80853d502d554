"""Event ids are unique, ordered within a call, and carry the time they were made."""

import random
import time
import uuid

from hypothesis import given
from hypothesis import strategies as st

from streaming.ids import derived_event_id, new_event_ids, unix_milliseconds


@given(st.integers(1, 300))
def test_ids_of_one_call_ascend_and_are_version_7(count: int) -> None:
    before = time.time_ns() // 1_000_000
    ids = new_event_ids(count)
    after = time.time_ns() // 1_000_000

    assert sorted(set(ids)) == ids
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant) for one in ids} == {(7, uuid.RFC_4122)}
    assert all(before <= unix_milliseconds(one) <= after for one in ids)


def test_whoever_seeds_the_shared_generator_does_not_repeat_ids() -> None:
    tails = set()
    for _ in range(50):
        random.seed(1)
        tails.add(new_event_ids(1)[0][19:])

    assert len(tails) == 50


def test_a_derived_id_keeps_the_time_and_follows_from_its_parts_alone() -> None:
    (origin,) = new_event_ids(1)

    derived = derived_event_id(origin, "flights", "2", "http", "")

    assert derived == derived_event_id(origin, "flights", "2", "http", "")
    assert derived != derived_event_id(origin, "flights", "3", "http", "")
    assert unix_milliseconds(derived) == unix_milliseconds(origin)
