"""The reference profile as a whole."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from versioning.errors import ArtifactError
from versioning.profile import (
    FORMAT_VERSION,
    ColumnHints,
    Profile,
    ReferenceAnswers,
    build_profile,
    decode,
    encode,
    sample_rows,
)
from versioning.profile_columns import fold, profile_column

COLUMNS: dict[str, Any] = {
    "age": np.array([20.0, 30.0, np.nan, 50.0]),
    "rooms": np.array([1, 2, 2, 3]),
    "member": np.array([True, False, True, True]),
    "city": np.array(["Köln", None, "Rom", "Rom"], dtype=object),
}
BINARY = ReferenceAnswers(
    task="classifier",
    predictions=np.array([0, 1, 1, 0]),
    truths=np.array([0, 1, 0, 0]),
    classes=[0, 1],
    probabilities=np.array([[0.9, 0.1], [0.0, 1.0], [0.4, 0.6], [0.99, 0.01]]),
)


def _profile(hints: ColumnHints | None = None) -> Profile:
    return build_profile(COLUMNS, BINARY, hints)


def test_a_profile_survives_its_json_and_is_the_same_twice() -> None:
    times = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC))
    hints = ColumnHints(importance={"age": 3.0, "city": 1.0}, event_times=times)
    profile = _profile(hints)
    assert decode(encode(profile)) == profile
    assert encode(_profile(hints)) == encode(profile)


def test_importance_becomes_shares() -> None:
    profile = _profile(ColumnHints(importance={"age": 3.0, "city": 1.0, "rooms": -0.1}))
    assert [column.importance for column in profile.features] == [0.75, 0.0, None, 0.25]


def test_kinds_can_be_overruled_and_a_hint_about_nothing_is_refused() -> None:
    assert _profile(ColumnHints(kinds={"rooms": "number"})).features[1].kind == "number"
    with pytest.raises(ValueError, match=r"no column roms .* there are age, rooms, member, city"):
        _profile(ColumnHints(kinds={"roms": "number"}))


def test_binary_calibration_counts_the_last_class() -> None:
    calibration = _profile().calibration
    assert sum(step.rows for step in calibration) == 4
    assert sum(step.hits for step in calibration) == 1
    assert (calibration[-1].rows, calibration[-1].hits) == (1, 1)  # p = 1 belongs to the last bin
    assert sum(step.score_sum for step in calibration) == pytest.approx(1.71)


def test_calibration_of_several_classes_counts_what_was_right() -> None:
    answers = ReferenceAnswers(
        task="classifier",
        predictions=np.array(["a", "b"]),
        truths=np.array(["a", "c"]),
        classes=["a", "b", "c"],
        probabilities=np.array([[0.8, 0.1, 0.1], [0.3, 0.4, 0.3]]),
    )
    profile = build_profile({"x": np.array([1.0, 2.0])}, answers)
    assert profile.classes == ["a", "b", "c"]
    assert sum(step.hits for step in profile.calibration) == 1
    assert profile.score is not None
    assert profile.score.sum == pytest.approx(1.2)


def test_a_regressor_has_quartiles_and_no_score() -> None:
    numbers = np.arange(101.0)
    profile = build_profile({"x": numbers}, ReferenceAnswers("regressor", numbers, numbers))
    assert profile.prediction_quartiles == [25.0, 50.0, 75.0]
    assert profile.prediction.kind == "number"
    assert (profile.score, profile.calibration, profile.classes) == (None, [], [])


def test_the_schema_hash_changes_with_names_order_and_types_only() -> None:
    same = {**COLUMNS, "age": COLUMNS["age"] * 2}
    other_type = {**COLUMNS, "rooms": COLUMNS["rooms"] / 2}
    other_order = dict(reversed(COLUMNS.items()))
    expected = _profile().schema_hash
    assert build_profile(same, BINARY).schema_hash == expected
    assert build_profile(other_type, BINARY).schema_hash != expected
    assert build_profile(other_order, BINARY).schema_hash != expected


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"task": "poet"}'])
def test_junk_is_not_a_profile(content: bytes) -> None:
    with pytest.raises(ArtifactError, match="is not a reference profile"):
        decode(content)


def test_a_newer_format_asks_for_an_upgrade() -> None:
    newer = msgspec.structs.replace(_profile(), format_version=FORMAT_VERSION + 1)
    with pytest.raises(ArtifactError, match="upgrade Understudy"):
        decode(encode(newer))


def test_sampled_rows_have_the_types_and_nulls_of_the_columns() -> None:
    rows = sample_rows(_profile(), 400, seed=3)
    assert list(rows[0]) == list(COLUMNS)
    assert {type(row["age"]) for row in rows} == {float, type(None)}
    assert {type(row["rooms"]) for row in rows} == {int}
    assert {row["member"] for row in rows} == {True, False}
    assert {row["city"] for row in rows} == {"Köln", "Rom", None}
    assert sample_rows(_profile(), 400, seed=3) == rows
    assert sample_rows(_profile(), 400, seed=4) != rows


@given(st.lists(st.floats(-1e100, 1e100) | st.none(), min_size=1, max_size=40), st.integers(0, 9))
def test_sampled_numbers_fall_into_bins_the_reference_used(values: list[float | None], seed: int) -> None:
    column = profile_column("x", values, kind="number")
    profile = build_profile({"x": values}, ReferenceAnswers("regressor", np.zeros(1), np.zeros(1)))
    drawn = fold(column, [row["x"] for row in sample_rows(profile, 50, seed=seed)])
    assert not np.any((drawn > 0) & (np.asarray(column.counts) == 0))


def test_a_reference_of_infinite_numbers_still_gives_rows() -> None:
    values = [float("inf"), 1e300]
    profile = build_profile({"x": values}, ReferenceAnswers("regressor", np.zeros(1), np.zeros(1)))
    assert decode(encode(profile)) == profile
    assert sample_rows(profile, 1, seed=0) == [{"x": 0.0}]


def test_sampled_texts_identifiers_and_times_are_made_up() -> None:
    columns: dict[str, Any] = {
        "note": [f"my name is secret{number}" for number in range(120)],
        "customer": [f"c-{number}" for number in range(120)],
        "at": ["2023-01-01T10:00:00Z"] * 120,
    }
    rows = sample_rows(build_profile(columns, ReferenceAnswers("regressor", np.zeros(1), np.zeros(1))), 20, seed=1)
    assert not any("secret" in row["note"] for row in rows)
    assert all(18 <= len(row["note"]) <= 21 for row in rows)
    assert all(row["customer"].startswith("id-") for row in rows)
    assert all(datetime.fromisoformat(row["at"]).year == 2024 for row in rows)
