"""The question a compiled tree asks of a double is the one scikit-learn asks of its float32."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serving.compile.trees import double_thresholds

FLOATS = st.floats(-1e30, 1e30, allow_nan=False)


def _asks_the_same(x: float, threshold: float) -> bool:
    compiled = x <= double_thresholds(np.array([threshold]))[0]
    return bool(compiled) == bool(np.float64(np.float32(x)) <= threshold)


@given(x=FLOATS, threshold=FLOATS)
def test_any_number_goes_the_same_way(x: float, threshold: float) -> None:
    assert _asks_the_same(x, threshold)


@given(
    near=st.floats(-(2.0**100), 2.0**100, allow_nan=False, width=32),
    steps=st.integers(-3, 3),
    fraction=st.floats(-2, 2),
)
def test_numbers_within_float32_rounding_of_a_threshold_go_the_same_way(
    near: float, steps: int, fraction: float
) -> None:
    below = np.float32(near)
    above = np.nextafter(below, np.float32(np.inf))
    gap = float(above) - float(below)
    threshold = (float(below) + float(above)) / 2
    for _ in range(abs(steps)):
        threshold = float(np.nextafter(threshold, np.inf if steps > 0 else -np.inf))
    assert _asks_the_same(near + fraction * gap, threshold)
    assert _asks_the_same(threshold, threshold)
    assert _asks_the_same(float(np.nextafter(threshold, np.inf)), threshold)


def test_the_middle_of_two_neighbours_goes_where_ties_to_even_round_it() -> None:
    one, above = np.float32(1.0), np.nextafter(np.float32(1.0), np.float32(2.0))
    middle = (float(one) + float(above)) / 2

    assert double_thresholds(np.array([1.0]))[0] == middle
    assert _asks_the_same(middle, 1.0)
