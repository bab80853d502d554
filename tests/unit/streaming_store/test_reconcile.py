"""The account: what is explained, what is not, and that a running system is not accused."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.reconcile import LogEnd, ShadowStart, reconcile, shadow_starts
from streaming.store import MissingAnswer, PartitionCount

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
START = ShadowStart("flights", "2", "shadow", NOON)
numbers = st.integers(0, 1_000)


def one(acked: int, committed: int, count: PartitionCount, quarantined: int = 0) -> Any:
    report = reconcile({"p": LogEnd(acked, quarantined)}, {"p": committed}, {"p": count}, [])
    return report.partitions[0], report.ok, report.settled


def test_an_empty_system_is_in_order() -> None:
    report = reconcile({}, {}, {}, [])
    assert (report.ok, report.settled) == (True, True)
    assert report.lines()[0].startswith("0 acked")


@given(stored=numbers, duplicates=numbers, dead=numbers, expired=numbers, quarantined=numbers, pending=numbers)
def test_every_ending_explains_an_event(
    stored: int, duplicates: int, dead: int, expired: int, quarantined: int, pending: int
) -> None:
    ended = stored + duplicates + dead + expired + quarantined
    account, ok, settled = one(ended + pending, ended, PartitionCount(stored, duplicates, dead, expired), quarantined)
    assert (account.pending, account.unexplained) == (pending, 0)
    assert ok
    assert settled == (pending == 0)


@given(stored=numbers, lost=st.integers(1, 50), pending=numbers)
def test_what_was_committed_and_ended_nowhere_is_lost(stored: int, lost: int, pending: int) -> None:
    account, ok, _ = one(stored + lost + pending, stored + lost, PartitionCount(stored, 0, 0, 0))
    assert (account.unexplained, account.pending, ok) == (lost, pending, False)


@given(stored=numbers, surplus=st.integers(1, 50))
def test_more_than_the_log_acked_is_wrong_too(stored: int, surplus: int) -> None:
    account, ok, _ = one(stored, stored, PartitionCount(stored + surplus, 0, 0, 0))
    assert (account.unexplained, ok) == (-surplus, False)


def test_a_batch_stored_but_not_yet_committed_is_in_order() -> None:
    account, ok, settled = one(10, 4, PartitionCount(7, 0, 0, 0))
    assert (account.pending, account.unexplained, ok, settled) == (3, 0, True, False)


def test_a_partition_the_store_has_not_seen_is_pending_and_one_the_log_never_had_is_wrong() -> None:
    assert reconcile({"new": LogEnd(5)}, {}, {}, []).ok
    assert not reconcile({}, {}, {"ghost": PartitionCount(1, 0, 0, 0)}, []).ok


def test_losses_and_surpluses_do_not_cancel_out() -> None:
    report = reconcile(
        {"a": LogEnd(5), "b": LogEnd(5)},
        {"a": 5, "b": 5},
        {"a": PartitionCount(4, 0, 0, 0), "b": PartitionCount(6, 0, 0, 0)},
        [],
    )
    assert report.totals().unexplained == 2
    assert [line.split()[0] for line in report.lines()[1:]] == ["LOST", "TOO"]


def missing(*offsets: int) -> list[MissingAnswer]:
    return [MissingAnswer(f"event-{offset}", "api", offset) for offset in offsets]


def test_a_shadow_that_has_read_an_event_owes_its_answer() -> None:
    report = reconcile({}, {}, {}, [(START, {"api": 5}, missing(3, 4, 5, 6))])
    account = report.shadows[0]
    assert (account.unanswered, account.pending, account.event_ids) == (2, 2, ["event-3", "event-4"])
    assert not report.ok
    assert report.lines()[1].startswith("MISSING: shadow flights/2")


def test_an_answer_may_be_in_the_log_and_not_in_the_store_yet() -> None:
    pending = reconcile(
        {"shadow": LogEnd(9)}, {"shadow": 8}, {"shadow": PartitionCount(8, 0, 0, 0)}, [(START, {"api": 5}, missing(3))]
    )
    assert (pending.shadows[0].on_its_way, pending.ok, pending.settled) == (1, True, False)


def test_a_superseded_shadow_owes_only_what_it_has_read() -> None:
    superseded = ShadowStart("flights", "2", "shadow", NOON, superseded=True)
    report = reconcile({}, {}, {}, [(superseded, {"api": 5}, missing(5, 6))])
    assert (report.ok, report.settled) == (True, True)


def control(version: str, hour: int, **evidence: Any) -> dict[str, Any]:
    at = NOON.replace(hour=hour).isoformat()
    return {"model_name": "flights", "model_version": version, "evidence": {"received_from": at} | evidence}


def test_starts_are_read_from_control_events_newest_first() -> None:
    starts = shadow_starts(
        [control("3", 12, role="shadow", fraction=0.5), control("2", 11, role="shadow"), control("2", 9, role="shadow")]
    )
    assert [(start.model_version, start.superseded, start.received_from.hour) for start in starts] == [
        ("3", False, 12),
        ("2", True, 11),
    ]
    assert (starts[0].fraction, starts[0].group) == (0.5, "shadow-shadow-flights-3")


def test_two_aliases_of_one_model_do_not_supersede_each_other() -> None:
    starts = shadow_starts([control("3", 12, role="shadow-b"), control("2", 11, role="shadow-a")])
    assert [start.superseded for start in starts] == [False, False]


@pytest.mark.parametrize("evidence", [{}, {"received_from": "soon"}, {"received_from": None}])
def test_a_control_event_without_readable_evidence_is_passed_over(evidence: Any) -> None:
    bare = {"model_name": "flights", "model_version": "1"}
    assert shadow_starts([bare, bare | {"evidence": evidence}]) == []


def test_a_changed_fraction_is_owed_from_its_own_start_on() -> None:
    (start,) = shadow_starts([control("2", 11, fraction=0.5), control("2", 9, fraction=1.0)])
    assert (start.fraction, start.received_from.hour) == (0.5, 11)


def test_the_document_says_all_that_the_lines_say() -> None:
    report = reconcile({"p": LogEnd(2)}, {"p": 2}, {"p": PartitionCount(1, 0, 0, 0)}, [(START, {}, missing(1))])
    document = report.document()
    assert (document["ok"], document["settled"]) == (False, False)
    assert document["totals"]["unexplained"] == document["partitions"][0]["unexplained"] == 1
    assert document["shadows"][0]["pending"] == 1
