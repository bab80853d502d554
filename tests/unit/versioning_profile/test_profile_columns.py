"""Folding values into frozen bins."""

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from versioning.profile_columns import (
    ColumnProfile,
    coarse_groups,
    fold,
    profile_column,
    quantile_edges,
    slot_count,
    slots_of,
)
from versioning.profile_values import Kind, category_text, dtype_of, guess_kind, words_of

NUMBERS = st.lists(st.floats(width=64) | st.none(), max_size=60)
STRINGS = st.lists(st.text(max_size=8) | st.none(), max_size=60)
COLUMNS = st.one_of(
    st.tuples(st.just("number"), NUMBERS, NUMBERS, NUMBERS),
    st.tuples(st.just("category"), STRINGS, STRINGS, STRINGS),
    st.tuples(st.just("text"), STRINGS, STRINGS, STRINGS),
    st.tuples(st.just("identifier"), STRINGS, STRINGS, STRINGS),
)


@given(COLUMNS)
def test_folds_of_parts_add_up_to_the_fold_of_the_whole(
    drawn: tuple[Kind, list[float | None], list[float | None], list[float | None]],
) -> None:
    kind, reference, left, right = drawn
    column = profile_column("x", reference, kind=kind)
    expected = fold(column, left + right)
    assert (fold(column, left) + fold(column, right)).tolist() == expected.tolist()
    assert expected.sum() == len(left) + len(right)
    assert len(expected) == slot_count(column)


@given(COLUMNS)
def test_the_reference_folds_to_its_own_counts(
    drawn: tuple[Kind, list[float | None], list[float | None], list[float | None]],
) -> None:
    kind, reference, _, _ = drawn
    column = profile_column("x", reference, kind=kind)
    assert column.counts == fold(column, reference).tolist()
    assert sum(column.counts) == column.rows == len(reference)
    assert column.missing == sum(category_text(value) is None for value in reference)


@given(st.lists(st.floats(-1e100, 1e100), min_size=1, max_size=800))
def test_finite_reference_values_never_fall_into_a_tail(values: list[float]) -> None:
    column = profile_column("x", values, kind="number")
    assert column.edges == sorted(set(column.edges))
    assert (column.counts[0], column.counts[-3]) == (0, 0)


@given(st.lists(st.integers(0, 50), min_size=3, max_size=300), st.integers(3, 20))
def test_coarse_groups_are_few_and_in_order(counts: list[int], bins: int) -> None:
    groups = coarse_groups(counts, bins)
    assert len(groups) == len(counts)
    assert sorted(set(groups)) == list(range(groups.max() + 1))
    assert groups.max() < bins
    assert list(groups) == sorted(groups)


def test_coarse_groups_keep_unseen_and_missing_apart() -> None:
    groups = coarse_groups([10] * 100 + [1, 2])
    assert np.bincount(groups)[-2:].tolist() == [1, 1]
    assert np.bincount(groups)[:-2].max() - np.bincount(groups)[:-2].min() <= 1


def test_numbers_too_large_to_add_up_count_as_infinite() -> None:
    column = profile_column("x", [1.0, 1e300, -np.inf])
    assert column.counts == [1, 1, 1, 0, 0]
    assert (column.sum, column.finite) == (1.0, 1)


def test_values_beyond_the_reference_fall_into_the_tails() -> None:
    column = profile_column("x", [1.0, 2.0, 3.0])
    assert slots_of(column, [0.9, 1.0, 2.5, 3.0, 3.1, None]).tolist() == [0, 1, 2, 3, 4, 6]


def test_many_numbers_make_bins_of_about_equal_weight() -> None:
    numbers = np.random.default_rng(1).normal(size=26_000)
    column = profile_column("x", numbers)
    body = column.counts[1:-3]
    assert 255 <= len(body) <= 260
    assert max(body) <= 2 * min(body)
    assert column.sum == pytest.approx(numbers.sum())
    assert column.sum_squares == pytest.approx((numbers**2).sum())


def test_a_spike_does_not_use_up_the_bins() -> None:
    numbers = np.concatenate([np.zeros(9_000), np.arange(1.0, 1_001.0)])
    assert len(quantile_edges(numbers)) > 20


def test_rare_categories_count_as_unseen() -> None:
    values = [f"c{number}" for number in range(300) for _ in range(1 + (number < 256))]
    column = profile_column("x", values, kind="category")
    assert len(column.categories) == 256
    assert column.unseen == 44


def test_categories_of_any_type_meet_as_text() -> None:
    column = profile_column("x", np.array([1, 2, 2]))
    assert column.kind == "category"
    assert column.categories == ["2", "1"]
    assert fold(column, [2.0, "2", 3, None]).tolist() == [2, 0, 1, 1]


def test_a_text_keeps_no_word() -> None:
    rows = [f"the quick secret{number} fox" for number in range(120)]
    column = profile_column("note", rows)
    assert column.kind == "text"
    assert column.text is not None
    assert len(column.text.vocabulary) == 3  # the, quick, fox: `secret…` occur once each
    assert column.text.unseen_tokens == 120
    assert words_of(["The FOX"])[0] == words_of(["the fox"])[0]
    assert sum(column.text.token_counts) == 120


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("age", [1.5, None], "number"),
        ("age", list(range(0, 900, 3)) * 2, "number"),
        ("grade", [1, 2, 3] * 40, "category"),
        ("member", [True, False], "category"),
        ("carrier", ["UA", "AA", None], "category"),
        ("row", list(range(500)), "identifier"),
        ("customer_id", list(range(0, 50_000, 100)), "identifier"),
        ("tail", [f"N{number}" for number in range(200)], "identifier"),
        ("at", ["2024-01-01T10:00:00Z", "2024-01-02T10:00:00Z"], "time"),
        ("at", [datetime(2024, 1, 1, tzinfo=UTC)], "time"),
        ("at", np.array(["2024-01-01"], dtype="datetime64[s]"), "time"),
        ("note", [f"a sentence about {number}" for number in range(60)], "text"),
        ("empty", [None, None], "number"),
    ],
)
def test_kinds_are_guessed(name: str, values: list[object], kind: str) -> None:
    assert guess_kind(name, values) == kind


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([True, None], "boolean"),
        ([1, None], "integer"),
        ([1, 2.5], "float"),
        (["a", 1], "string"),
        (np.array([1, 2], dtype=np.int32), "integer"),
        (np.array([True]), "boolean"),
        (np.array(["a", math.nan], dtype=object), "string"),
    ],
)
def test_types_are_those_of_json(values: list[object], dtype: str) -> None:
    assert dtype_of(values) == dtype


def _phi(column: ColumnProfile) -> float:
    return column.phi_by_rows[200]


def test_independent_rows_have_no_variance_inflation_and_blocked_ones_do() -> None:
    random = np.random.default_rng(7)
    independent = profile_column("x", random.normal(size=8_000), ordered=True)
    days = np.repeat(random.normal(size=40), 200)
    blocked = profile_column("x", days + random.normal(size=8_000), ordered=True)
    assert _phi(independent) == pytest.approx(1.0, abs=0.25)
    assert _phi(blocked) > 10


def test_phi_of_blocks_that_are_all_alike_inside_is_their_size_corrected_for_being_part_of_the_whole() -> None:
    days = [name for name in "abcdefgh" for _ in range(200)]
    assert _phi(profile_column("x", days, ordered=True)) == pytest.approx(200 / (1 - 200 / 1600), rel=1e-4)


def test_phi_is_not_claimed_without_order_or_rows() -> None:
    numbers = np.random.default_rng(7).normal(size=1_599)
    assert profile_column("x", numbers).phi_by_rows == {}
    assert profile_column("x", numbers, ordered=True).phi_by_rows == {}
