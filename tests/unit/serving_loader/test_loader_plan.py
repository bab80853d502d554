from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.loader.external import Change, Seen, look
from serving.loader.plan import disposable
from serving.loader.report import ChangeReporter
from serving.loader.specs import ModelSpec, parse_specs
from streaming.codec import decode
from streaming.events import ControlEvent, Event
from streaming.memory_log import MemoryLog
from versioning.memory import MemoryRegistry
from versioning.registry import RoleChange
from versioning.roles import Decision, RoleNames, promote, roll_back

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize("entry", ["", "a b", "a@", "a/x", "a@b/1", "@b", "/7"])
def test_a_model_entry_that_is_none_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match="write name, name@alias or name/version"):
        parse_specs([entry], "production")


def test_a_model_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="names 'a' twice"):
        parse_specs(["a", "a@staging"], "production")


def test_a_fixed_version_is_production_whatever_the_alias_says() -> None:
    assert ModelSpec("a", "production", "7").wanted({"production": "1", "shadow": "2"}, ["shadow"]) == {
        "production": "7",
        "shadow": "2",
    }


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.datetimes(), max_size=8), st.integers(0, 4))
def test_only_the_oldest_unused_bundles_may_go(bundles: dict[str, datetime], keep: int) -> None:
    used = frozenset(list(bundles)[:2])

    gone = disposable(bundles, used, keep)

    kept = bundles.keys() - used - set(gone)
    assert not used & set(gone)
    assert len(kept) == min(keep, len(bundles.keys() - used))
    assert all(bundles[old] <= bundles[new] for old in gone for new in kept)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def tick(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


class Story:
    """A registry with three versions, the loader looking at it, and what it reported."""

    def __init__(self, folder: Path) -> None:
        self.log = MemoryLog()
        self.clock = Clock()
        self.registry = MemoryRegistry()
        self.folder = folder
        for _ in range(3):
            self.registry.register("churn", "models:/x")
        self.registry.set_alias("churn", "production", "1")
        self.look()

    def look(self, times: int = 2) -> None:
        reporter = ChangeReporter(lambda name: self.folder / name, self.log)
        for _ in range(times):
            reporter(self.registry, "churn", self.registry.aliases("churn")["production"])

    def promote(self, version: str) -> None:
        promote(self.registry, "churn", version, names=RoleNames(), decision=Decision(self.clock.tick()))

    def roll_back(self) -> None:
        roll_back(self.registry, "churn", names=RoleNames(), decision=Decision(self.clock.tick()))

    def reported(self) -> list[tuple[object, object]]:
        events: list[Event] = [decode(record.value) for record in self.log.reader("test").poll(100, 0)]
        controls = [event for event in events if isinstance(event, ControlEvent)]
        assert all((event.kind, event.source) == ("promoted", "external") for event in controls)
        return [(event.evidence["from"], event.evidence["to"]) for event in controls]


def test_our_own_promotion_and_rollback_are_not_reported(tmp_path: Path) -> None:
    story = Story(tmp_path)

    story.promote("2")
    story.look()
    story.promote("3")
    story.look()
    story.roll_back()
    story.look()

    assert story.reported() == []


def test_a_change_made_in_the_registry_itself_is_reported_once(tmp_path: Path) -> None:
    story = Story(tmp_path)

    story.registry.set_alias("churn", "production", "2")
    story.look(5)

    assert story.reported() == [("1", "2")]


def test_a_change_back_to_a_version_once_promoted_by_us_is_reported(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.promote("2")
    story.look()
    story.registry.set_alias("churn", "production", "1")
    story.look()

    story.registry.set_alias("churn", "production", "2")
    story.look()

    assert story.reported() == [("2", "1"), ("1", "2")]


def test_a_promotion_whose_record_comes_a_moment_later_is_ours(tmp_path: Path) -> None:
    story = Story(tmp_path)

    story.registry.set_alias("churn", "production", "2")
    story.look(1)
    story.registry.record_change("churn", RoleChange(story.clock.tick(), "2", "promoted"))
    story.look()

    assert story.reported() == []


def test_a_repeated_report_is_the_same_event() -> None:
    seen, change = look(Seen("1"), "2", [], "id-1")
    assert change is None

    _, first = look(seen, "2", [], "id-2")
    _, again = look(seen, "2", [], "id-3")

    assert first == again == Change("id-1", "1", "2")
