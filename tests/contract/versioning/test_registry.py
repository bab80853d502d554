"""What every Registry promises."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from versioning.errors import NotFoundError
from versioning.registry import Registry, RoleChange

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SOURCE = "s3://models/some/where"


@pytest.fixture
def name() -> str:
    """A model name nobody used, so that a server may keep what other tests left."""
    return f"contract-{uuid4().hex}"


def test_a_first_registration_creates_the_model_and_version_1(registry: Registry, name: str) -> None:
    before = datetime.now(UTC)

    version = registry.register(name, SOURCE, tags={"made": "here"})

    assert (version.model_name, version.model_version, version.source) == (name, "1", SOURCE)
    assert version.run_id is None
    assert dict(version.tags) == {"made": "here"}
    assert abs(version.created_at - before) < timedelta(minutes=1)
    assert name in registry.models()


def test_models_are_sorted_by_name(registry: Registry, name: str) -> None:
    registry.register(f"{name}-b", SOURCE)
    registry.register(f"{name}-a", SOURCE)

    ours = [model for model in registry.models() if model.startswith(name)]

    assert ours == [f"{name}-a", f"{name}-b"]


def test_versions_are_listed_oldest_first_past_ten(registry: Registry, name: str) -> None:
    for number in range(11):
        registry.register(name, f"{SOURCE}/{number}")

    assert [version.model_version for version in registry.versions(name)] == [str(n) for n in range(1, 12)]
    assert [version.source for version in registry.versions(name)] == [f"{SOURCE}/{n}" for n in range(11)]


def test_a_version_can_be_looked_up_by_its_number(registry: Registry, name: str) -> None:
    registry.register(name, SOURCE)
    second = registry.register(name, f"{SOURCE}/2")

    assert registry.version(name, "2") == second


def test_a_new_version_has_no_alias(registry: Registry, name: str) -> None:
    registry.register(name, SOURCE)

    assert dict(registry.aliases(name)) == {}


def test_an_alias_moves_to_another_version(registry: Registry, name: str) -> None:
    registry.register(name, SOURCE)
    registry.register(name, SOURCE)
    registry.set_alias(name, "production", "1")
    registry.set_alias(name, "shadow", "2")

    registry.set_alias(name, "production", "2")

    assert dict(registry.aliases(name)) == {"production": "2", "shadow": "2"}


def test_a_deleted_alias_is_gone_and_may_be_deleted_again(registry: Registry, name: str) -> None:
    registry.register(name, SOURCE)
    registry.set_alias(name, "shadow", "1")

    registry.delete_alias(name, "shadow")
    registry.delete_alias(name, "shadow")

    assert dict(registry.aliases(name)) == {}


@pytest.mark.parametrize("version", ["2", "0", "one", "-1", ""])
def test_a_version_that_is_not_there_is_named_in_the_error(registry: Registry, name: str, version: str) -> None:
    registry.register(name, SOURCE)

    with pytest.raises(NotFoundError, match=name) as looked_up:
        registry.version(name, version)
    with pytest.raises(NotFoundError):
        registry.set_alias(name, "production", version)

    assert repr(version) in str(looked_up.value)
    assert dict(registry.aliases(name)) == {}


def test_a_model_that_is_not_there_is_named_in_every_error(registry: Registry, name: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: registry.versions(name),
        lambda: registry.version(name, "1"),
        lambda: registry.aliases(name),
        lambda: registry.history(name),
        lambda: registry.set_alias(name, "production", "1"),
        lambda: registry.delete_alias(name, "production"),
        lambda: registry.record_change(name, RoleChange(NOON, "1", "promoted")),
    ]
    for call in calls:
        with pytest.raises(NotFoundError, match=name):
            call()


@pytest.mark.parametrize("bad", ["", "a/b", "a:b", "it's", ".hidden", " a", "a\nb", "x" * 201])
def test_a_name_that_cannot_stand_in_an_address_is_refused(registry: Registry, bad: str) -> None:
    with pytest.raises(ValueError, match="model name"):
        registry.register(bad, SOURCE)


@pytest.mark.parametrize("bad", ["", "latest", "Latest", "v1", "a b", "ä", "a/b"])
def test_an_alias_that_mlflow_refuses_is_refused(registry: Registry, name: str, bad: str) -> None:
    registry.register(name, SOURCE)

    with pytest.raises(ValueError, match="alias"):
        registry.set_alias(name, bad, "1")


def test_names_with_blanks_and_other_scripts_are_usable(registry: Registry, name: str) -> None:
    odd = f"{name} Vögel 鳥"
    registry.register(odd, SOURCE)
    registry.set_alias(odd, "production", "1")

    assert odd in registry.models()
    assert [version.model_version for version in registry.versions(odd)] == ["1"]


def test_the_history_is_empty_before_a_change_is_recorded(registry: Registry, name: str) -> None:
    registry.register(name, SOURCE)
    registry.set_alias(name, "production", "1")

    assert registry.history(name) == []


def test_the_history_is_oldest_first_whatever_was_recorded_first(registry: Registry, name: str) -> None:
    registry.register(name, SOURCE)
    earlier = RoleChange(NOON, "1", "promoted", "first model")
    later = RoleChange(NOON + timedelta(microseconds=1), None, "rolled_back", 'it said "no": naïve')
    registry.record_change(name, later)

    registry.record_change(name, earlier)

    assert registry.history(name) == [earlier, later]


def test_two_changes_of_one_moment_are_both_kept(registry: Registry, name: str) -> None:
    registry.register(name, SOURCE)
    registry.record_change(name, RoleChange(NOON, "1", "promoted"))
    registry.record_change(name, RoleChange(NOON, "2", "promoted"))

    assert {change.model_version for change in registry.history(name)} == {"1", "2"}


def test_a_long_reason_is_cut_rather_than_refused(registry: Registry, name: str) -> None:
    registry.register(name, SOURCE)

    registry.record_change(name, RoleChange(NOON, "1", "promoted", "because " * 5000))

    assert registry.history(name)[0].reason.startswith("because because")
    assert len(registry.history(name)[0].reason) <= 1000
