"""Who answers and who listens: reading the roles, promoting a version, and the way back (pure over Registry)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from versioning.errors import ConflictError, NotFoundError
from versioning.registry import Registry, RoleChange


@dataclass(frozen=True)
class RoleNames:
    """The aliases that are roles here: one production, any number of shadows (the first receives a replaced version)."""

    production: str = "production"
    shadows: tuple[str, ...] = ("shadow",)

    @property
    def all(self) -> tuple[str, ...]:
        return (self.production, *self.shadows)


@dataclass(frozen=True)
class Decision:
    """Why the roles are to change.

    Attributes:
        at: Now, with a time zone.
        seen: The role table the decision was made on; the move is refused when it is no longer true. None: any.
    """

    at: datetime
    reason: str = ""
    seen: Mapping[str, str] | None = None


@dataclass(frozen=True)
class RoleMove:
    """What was changed, for the control event.

    Attributes:
        before: Role to version before the move; roles without a version are absent.
        after: The same after it. Equal to `before` when there was nothing to do.
    """

    model_name: str
    kind: Literal["promoted", "rolled_back"]
    at: datetime
    reason: str
    before: Mapping[str, str] = field(default_factory=dict)
    after: Mapping[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> Mapping[str, tuple[str | None, str | None]]:
        """Role to (old version, new version), only where they differ."""
        pairs = {role: (self.before.get(role), self.after.get(role)) for role in {**self.before, **self.after}}
        return {role: pair for role, pair in pairs.items() if pair[0] != pair[1]}


def role_table(registry: Registry, model_name: str, names: RoleNames) -> dict[str, str]:
    """Role to version, production first; roles nobody has are absent. Raises NotFoundError for an unknown model."""
    aliases = registry.aliases(model_name)
    return {name: aliases[name] for name in names.all if name in aliases}


def promote(
    registry: Registry, model_name: str, model_version: str, *, names: RoleNames, decision: Decision
) -> RoleMove:
    """Makes a version production and the replaced one the first shadow; nothing happens when it is production already.

    Raises:
        NotFoundError: No such model or version.
        ConflictError: The roles are not those of `decision.seen`.
    """
    registry.version(model_name, model_version)
    before = _unchanged_table(registry, model_name, names, decision)
    after = _after_promotion(before, model_version, names)
    return _move(registry, RoleMove(model_name, "promoted", decision.at, decision.reason, before, after), names)


def roll_back(registry: Registry, model_name: str, *, names: RoleNames, decision: Decision) -> RoleMove:
    """Makes the version production that was so before; the replaced one becomes the shadow if that place is free.

    The version before is read from the recorded history; where nothing was recorded, it is the first shadow.

    Raises:
        NotFoundError: No such model, nothing to go back to, or that version was deleted.
        ConflictError: The roles are not those of `decision.seen`.
    """
    before = _unchanged_table(registry, model_name, names, decision)
    target = _version_before(registry.history(model_name), before, names)
    if target is None:
        raise NotFoundError(_nowhere_to_go(model_name, before.get(names.production)))
    registry.version(model_name, target)
    after = _after_roll_back(before, target, names)
    return _move(registry, RoleMove(model_name, "rolled_back", decision.at, decision.reason, before, after), names)


def previous_production(history: Sequence[RoleChange], current: str) -> str | None:
    """The version that was production before `current`, or None when the history does not say.

    A version that was rolled back from is no way back: after 1, 2, back to 1, nothing lies before 1.
    """
    stack: list[str] = []
    for change in history:
        if change.model_version is None:
            continue
        if change.kind == "rolled_back":
            _unwind(stack, change.model_version)
        if stack[-1:] != [change.model_version]:
            stack.append(change.model_version)
    if current not in stack:
        return stack[-1] if stack else None
    _unwind(stack, current)
    return stack[-2] if len(stack) > 1 else None


def _unwind(stack: list[str], model_version: str) -> None:
    while stack and stack[-1] != model_version:
        stack.pop()


def _unchanged_table(registry: Registry, model_name: str, names: RoleNames, decision: Decision) -> dict[str, str]:
    table = role_table(registry, model_name, names)
    if decision.seen is not None and dict(decision.seen) != table:
        raise ConflictError(
            f"the roles of {model_name!r} changed meanwhile: seen {dict(decision.seen)}, now {table}; look and decide again"
        )
    return table


def _after_promotion(before: Mapping[str, str], model_version: str, names: RoleNames) -> dict[str, str]:
    replaced = before.get(names.production)
    if replaced == model_version:
        return dict(before)
    after = {role: version for role, version in before.items() if version != model_version}
    after[names.production] = model_version
    if replaced is not None and names.shadows:
        after[names.shadows[0]] = replaced
    return after


def _after_roll_back(before: Mapping[str, str], target: str, names: RoleNames) -> dict[str, str]:
    after = {role: version for role, version in before.items() if version != target}
    replaced = after.get(names.production)
    after[names.production] = target
    if replaced is not None and names.shadows:
        after.setdefault(names.shadows[0], replaced)
    return after


def _version_before(history: Sequence[RoleChange], before: Mapping[str, str], names: RoleNames) -> str | None:
    current = before.get(names.production, "")
    found = previous_production(history, current)
    if found is not None or (history and history[-1].kind == "rolled_back") or not names.shadows:
        return found
    shadow = before.get(names.shadows[0])
    return None if shadow == current else shadow


def _nowhere_to_go(model_name: str, current: str | None) -> str:
    now = f"version {current} is production" if current else "no version is production"
    return (
        f"nothing to roll back {model_name!r} to: {now} and the history names none before it; promote a version instead"
    )


def _move(registry: Registry, move: RoleMove, names: RoleNames) -> RoleMove:
    if not move.changed:
        return move
    for role, (_, version) in sorted(move.changed.items(), key=lambda item: item[0] != names.production):
        if version is None:
            registry.delete_alias(move.model_name, role)
        else:
            registry.set_alias(move.model_name, role, version)
    # Recorded last: a record always tells of a move that was made. A move whose record is missing (a crash in
    # between) reads like one made elsewhere, and the way back is the last version recorded.
    registry.record_change(move.model_name, RoleChange(move.at, move.after[names.production], move.kind, move.reason))
    return move
