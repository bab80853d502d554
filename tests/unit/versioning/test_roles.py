"""Promotion and the way back, over the in-memory registry."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versioning.errors import ConflictError, NotFoundError, RegistryUnavailableError
from versioning.memory import MemoryRegistry
from versioning.registry import RoleChange
from versioning.roles import Decision, RoleMove, RoleNames, previous_production, promote, role_table, roll_back

NAMES = RoleNames()
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def registry_with(aliases: dict[str, str], versions: int = 4) -> MemoryRegistry:
    registry = MemoryRegistry()
    for _ in range(versions):
        registry.register("churn", "s3://models/churn")
    for alias, version in aliases.items():
        registry.set_alias("churn", alias, version)
    return registry


def decide(minute: int = 0, seen: dict[str, str] | None = None) -> Decision:
    return Decision(NOON + timedelta(minutes=minute), f"because {minute}", seen)


def do_promote(registry: MemoryRegistry, version: str, minute: int = 0) -> RoleMove:
    return promote(registry, "churn", version, names=NAMES, decision=decide(minute))


def do_roll_back(registry: MemoryRegistry, minute: int = 0) -> RoleMove:
    return roll_back(registry, "churn", names=NAMES, decision=decide(minute))


def test_the_role_table_holds_roles_only() -> None:
    registry = registry_with({"production": "1", "somebody-elses": "2"})

    assert role_table(registry, "churn", NAMES) == {"production": "1"}


def test_the_first_promotion_makes_no_shadow() -> None:
    registry = registry_with({})

    move = do_promote(registry, "1")

    assert dict(registry.aliases("churn")) == {"production": "1"}
    assert move.changed == {"production": (None, "1")}
    assert registry.history("churn") == [RoleChange(NOON, "1", "promoted", "because 0")]


def test_a_promotion_swaps_production_and_shadow() -> None:
    registry = registry_with({"production": "1", "shadow": "2", "somebody-elses": "2"})

    move = do_promote(registry, "2")

    assert dict(registry.aliases("churn")) == {"production": "2", "shadow": "1", "somebody-elses": "2"}
    assert move.changed == {"production": ("1", "2"), "shadow": ("2", "1")}


def test_a_promoted_candidate_takes_the_shadow_place_for_the_replaced_version() -> None:
    registry = registry_with({"production": "1", "shadow": "2"})

    do_promote(registry, "3")

    assert dict(registry.aliases("churn")) == {"production": "3", "shadow": "1"}


def test_a_promoted_second_shadow_listens_no_longer() -> None:
    names = RoleNames(shadows=("shadow", "shadow-2"))
    registry = registry_with({"production": "1", "shadow": "2", "shadow-2": "3"})

    promote(registry, "churn", "3", names=names, decision=decide())

    assert dict(registry.aliases("churn")) == {"production": "3", "shadow": "1"}


def test_without_shadow_roles_only_production_moves() -> None:
    registry = registry_with({"production": "1"})

    promote(registry, "churn", "2", names=RoleNames(shadows=()), decision=decide())

    assert dict(registry.aliases("churn")) == {"production": "2"}


def test_promoting_production_changes_and_records_nothing() -> None:
    registry = registry_with({"production": "1", "shadow": "2"})

    move = do_promote(registry, "1")

    assert move.changed == {}
    assert registry.history("churn") == []


def test_a_version_that_is_not_there_is_not_promoted() -> None:
    registry = registry_with({"production": "1"}, versions=1)

    with pytest.raises(NotFoundError, match="'9'"):
        do_promote(registry, "9")

    assert dict(registry.aliases("churn")) == {"production": "1"}
    assert registry.history("churn") == []


def test_a_decision_on_roles_that_changed_is_refused() -> None:
    registry = registry_with({"production": "1", "shadow": "2"})
    stale = decide(seen={"production": "1", "shadow": "3"})

    with pytest.raises(ConflictError, match="changed meanwhile"):
        promote(registry, "churn", "2", names=NAMES, decision=stale)
    with pytest.raises(ConflictError, match="changed meanwhile"):
        roll_back(registry, "churn", names=NAMES, decision=stale)

    assert dict(registry.aliases("churn")) == {"production": "1", "shadow": "2"}


def test_a_decision_on_the_present_roles_is_carried_out() -> None:
    registry = registry_with({"production": "1", "shadow": "2", "somebody-elses": "3"})
    seen = role_table(registry, "churn", NAMES)

    promote(registry, "churn", "2", names=NAMES, decision=decide(seen=seen))

    assert registry.aliases("churn")["production"] == "2"


def test_a_roll_back_undoes_a_promotion() -> None:
    registry = registry_with({"shadow": "2"})
    do_promote(registry, "1", 1)
    registry.set_alias("churn", "shadow", "2")
    do_promote(registry, "2", 2)

    move = do_roll_back(registry, 3)

    assert dict(registry.aliases("churn")) == {"production": "1", "shadow": "2"}
    assert (move.kind, move.changed) == ("rolled_back", {"production": ("2", "1"), "shadow": ("1", "2")})
    assert registry.history("churn")[-1] == RoleChange(decide(3).at, "1", "rolled_back", "because 3")


def test_a_roll_back_leaves_a_shadow_that_is_under_test() -> None:
    registry = registry_with({})
    do_promote(registry, "1", 1)
    do_promote(registry, "2", 2)
    registry.set_alias("churn", "shadow", "3")

    do_roll_back(registry, 3)

    assert dict(registry.aliases("churn")) == {"production": "1", "shadow": "3"}


def test_a_second_roll_back_goes_further_back_and_not_forth() -> None:
    registry = registry_with({})
    for minute, version in enumerate("123"):
        do_promote(registry, version, minute)

    assert do_roll_back(registry, 4).after["production"] == "2"
    assert do_roll_back(registry, 5).after["production"] == "1"
    with pytest.raises(NotFoundError, match=r"version 1 is production.*promote a version"):
        do_roll_back(registry, 6)


def test_without_a_history_the_shadow_is_the_way_back() -> None:
    registry = registry_with({"production": "2", "shadow": "1"})

    do_roll_back(registry)

    assert dict(registry.aliases("churn")) == {"production": "1", "shadow": "2"}


def test_with_neither_history_nor_shadow_a_roll_back_says_what_to_do() -> None:
    registry = registry_with({"production": "2"})

    with pytest.raises(NotFoundError, match=r"nothing to roll back 'churn' to: version 2 is production"):
        do_roll_back(registry)

    assert dict(registry.aliases("churn")) == {"production": "2"}


class CutOff(MemoryRegistry):
    """Fails after the first alias is set, as when the process is killed there."""

    def set_alias(self, model_name: str, alias: str, model_version: str) -> None:
        super().set_alias(model_name, alias, model_version)
        raise RegistryUnavailableError("cut off")


def test_a_promotion_cut_off_half_way_can_be_rolled_back() -> None:
    registry = registry_with({})
    do_promote(registry, "1", 1)
    registry.__class__ = CutOff
    with pytest.raises(RegistryUnavailableError):
        do_promote(registry, "2", 2)
    registry.__class__ = MemoryRegistry

    assert registry.history("churn")[-1].model_version == "1"
    assert do_roll_back(registry, 3).after["production"] == "1"


def test_a_shadow_of_the_same_version_is_no_way_back() -> None:
    registry = registry_with({"production": "2", "shadow": "2"})

    with pytest.raises(NotFoundError, match="the history names none before it; promote"):
        do_roll_back(registry)


def test_a_move_that_was_recorded_but_not_made_is_no_way_back() -> None:
    registry = registry_with({})
    do_promote(registry, "1", 1)
    do_promote(registry, "2", 2)
    registry.record_change("churn", RoleChange(decide(3).at, "3", "promoted", "and then the power failed"))

    assert do_roll_back(registry, 4).after["production"] == "1"


def test_after_a_change_made_elsewhere_the_way_back_is_the_last_one_recorded() -> None:
    registry = registry_with({})
    do_promote(registry, "1", 1)
    registry.set_alias("churn", "production", "4")

    assert do_roll_back(registry, 2).after["production"] == "1"


def test_previous_production_of_an_empty_history_is_unknown() -> None:
    assert previous_production([], "1") is None


@given(st.lists(st.sampled_from("1234"), min_size=1, max_size=12))
def test_rolling_back_visits_the_promoted_versions_in_reverse(promoted: list[str]) -> None:
    registry = registry_with({})
    for minute, version in enumerate(promoted):
        do_promote(registry, version, minute)
    distinct = [version for at, version in enumerate(promoted) if at == 0 or promoted[at - 1] != version]
    wanted = _way_back(distinct)

    found = [do_roll_back(registry, 100 + step).after["production"] for step in range(len(wanted))]

    assert found == wanted
    assert len({*registry.aliases("churn").values()}) == len(registry.aliases("churn"))


def _way_back(promoted: list[str]) -> list[str]:
    """The versions before the last, newest first."""
    return promoted[-2::-1] if len(promoted) > 1 else []
