from hypothesis import given
from hypothesis import strategies as st

from understudy.supervisor.restart import RestartPolicy

POLICY = RestartPolicy(base_seconds=0.5, max_seconds=30.0, steady_seconds=60.0)


def test_the_first_restart_is_immediate() -> None:
    assert POLICY.pause_seconds(1) == 0.0


@given(st.integers(min_value=1, max_value=10_000))
def test_pauses_never_shrink_and_stay_below_the_longest(failures: int) -> None:
    assert POLICY.pause_seconds(failures) <= POLICY.pause_seconds(failures + 1) <= 30.0


def test_a_child_that_ran_steadily_starts_afresh() -> None:
    assert POLICY.failures(7, lived_seconds=60.0) == 1
    assert POLICY.failures(7, lived_seconds=59.9) == 8
