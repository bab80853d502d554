"""scripts/calls.sh and scripts/check_events.sh, as a person calls them."""

import json
from typing import Any

import pytest

pytestmark = pytest.mark.slow
Whole = Any  # of conftest.py, which no test can import


def test_calls_prints_every_answer_and_a_summary(whole: Whole) -> None:
    done = whole.script("calls.sh", "--repetitions=5", "--seed", "1")

    *answers, summary = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert len(answers) == 5
    assert all(line.startswith("200 ") and '"prediction"' in line for line in answers)
    assert summary.startswith("calls 5  failures 0  min ")
    assert "median" in summary
    assert "p95" in summary


def test_calls_sends_rows_from_standard_input_in_turn(whole: Whole) -> None:
    row = whole.example()
    typed = f"{json.dumps(row)}\n{json.dumps({**row, 'nonsense': 1})}\n"

    done = whole.script("calls.sh", "--repetitions=4", "--data", "-", "--model", "breast_cancer", typed=typed)

    assert [line.split()[0] for line in done.stdout.splitlines()[:-1]] == ["200", "422", "200", "422"]
    assert "nonsense" in done.stdout
    assert "failures 2" in done.stdout
    assert done.returncode == 1


def test_calls_says_what_is_wrong_with_an_address_a_model_or_a_file(whole: Whole) -> None:
    away = whole.script("calls.sh", "--url", "http://127.0.0.1:9")
    unknown = whole.script("calls.sh", "--model", "nobody")
    no_file = whole.script("calls.sh", "--data", "/nowhere/rows.json")

    assert (away.returncode, unknown.returncode, no_file.returncode) == (1, 1, 1)
    assert "is it started? scripts/up" in away.stderr
    assert "served: breast_cancer" in unknown.stderr
    assert "/nowhere/rows.json: No such file" in no_file.stderr


def test_with_keys_only_a_right_one_is_answered_and_none_once_it_is_revoked(whole: Whole) -> None:
    secret = whole.told("keys", "create", "caller")["key"]
    try:
        whole.eventually(lambda: whole.script("calls.sh", "--repetitions=1", "--api-key", "wrong").returncode)
        wrong = whole.script("calls.sh", "--repetitions=1", "--api-key", "wrong")
        right = whole.script("calls.sh", "--repetitions=1", API_KEY=secret)
        assert whole.understudy("keys", "revoke", "caller").returncode == 0
        whole.eventually(lambda: whole.script("calls.sh", "--repetitions=1", API_KEY=secret).returncode)
        revoked = whole.script("calls.sh", "--repetitions=1", API_KEY=secret)
    finally:
        whole.understudy("down")  # an API that has had keys stays closed for as long as it runs
        (whole.folder / "api-keys.json").unlink()

    assert "401" in wrong.stderr
    assert right.returncode == 0, right.stderr
    assert "401" in revoked.stderr


def test_check_events_counts_what_is_stored_per_role_and_fails_for_none(whole: Whole, tmp_path: Any) -> None:
    assert whole.script("calls.sh", "--repetitions=3").returncode == 0
    whole.settle()

    some = whole.script("check_events.sh", "--json")
    none = whole.script("check_events.sh", DATA_DIR=str(tmp_path / "empty"))

    counted = {row["role"]: row["events"] for row in json.loads(some.stdout)}
    assert some.returncode == 0
    assert counted["production"] >= 3
    assert counted["shadow"] >= 3
    assert none.returncode == 1
    assert "No prediction event is stored yet" in none.stdout + none.stderr
