"""models, promote, rollback: what is registered, and who has which role."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from serving.bundle import RoleTable, read_role_table
from serving.settings import ServingSettings
from streaming.codec import encode
from streaming.errors import StreamingError
from streaming.events import ControlEvent
from streaming.ids import new_event_ids
from streaming.segments import open_segment_log
from streaming.settings import StreamingSettings
from understudy.cli.output import print_json, print_table
from understudy.readiness import model_names
from understudy.settings import UnderstudySettings
from understudy.story import Story
from understudy.supervisor.state import is_locked
from versioning.connect import open_registry
from versioning.registry import Registry
from versioning.roles import Decision, RoleMove, RoleNames, promote, role_table, roll_back
from versioning.settings import VersioningSettings

SERVED_WITHIN_SECONDS = 60.0


def show_models(*, as_json: bool) -> int:
    """Prints every version of every model, newest first, with its roles."""
    settings = VersioningSettings()
    registry = _registry(settings, as_json=as_json)
    rows = [row for model in registry.models() for row in _rows(registry, model, settings)]
    print_table(rows, as_json=as_json, empty="No model is registered. Train one: understudy train --help")
    return 0


def promote_version(model: str, version: str, *, reason: str, as_json: bool) -> int:
    """Makes a version production and waits until it answers."""
    settings = VersioningSettings()
    registry = _registry(settings, as_json=as_json)
    decision = Decision(at=datetime.now(UTC), reason=reason)
    return _tell_move(promote(registry, model, version, names=_names(settings), decision=decision), as_json)


def roll_back_model(model: str, *, reason: str, as_json: bool) -> int:
    """Goes back to the version that was production before, and waits until it answers."""
    settings = VersioningSettings()
    chosen = model or model_names(ServingSettings())[0]
    registry = _registry(settings, as_json=as_json)
    decision = Decision(at=datetime.now(UTC), reason=reason)
    return _tell_move(roll_back(registry, chosen, names=_names(settings), decision=decision), as_json)


def _registry(settings: VersioningSettings, *, as_json: bool) -> Registry:
    """The first call of MLflow takes seconds, so it is told."""
    with Story(to_stderr=as_json).bar("Opening the registry") as bar:
        registry = open_registry(settings)
        bar.to(1.0)
    return registry


def _names(settings: VersioningSettings) -> RoleNames:
    return RoleNames(settings.production_alias, settings.shadow_alias_names)


def _rows(registry: Registry, model: str, settings: VersioningSettings) -> list[dict[str, Any]]:
    roles = role_table(registry, model, _names(settings))
    return [
        {
            "model": model,
            "version": version.model_version,
            "role": [role for role, holder in roles.items() if holder == version.model_version] or ["candidate"],
            "created": version.created_at,
            "run": version.run_id,
        }
        for version in reversed(registry.versions(model))
    ]


def _tell_move(move: RoleMove, as_json: bool) -> int:
    story = Story(to_stderr=as_json)
    if not move.changed:
        _print_move(move, story, as_json=as_json)
        return 0
    _record(move, story)
    _print_move(move, story, as_json=as_json)
    return _await_served(move, story)


def _print_move(move: RoleMove, story: Story, *, as_json: bool) -> None:
    if as_json:
        print_json({"model": move.model_name, "kind": move.kind, "before": move.before, "after": move.after})
    elif move.changed:
        for role, (old, new) in move.changed.items():
            story.say(f"{move.model_name} {role}: {_version(old)} -> {_version(new)}")
    else:
        story.say(f"{move.model_name}: nothing to change, {_table(move.after)}.")


def _version(version: str | None) -> str:
    return f"version {version}" if version else "none"


def _table(roles: Mapping[str, str]) -> str:
    return ", ".join(f"{role} is version {version}" for role, version in roles.items()) or "no roles are given"


def control_event(move: RoleMove) -> ControlEvent:
    """The move as it stands in the log."""
    return ControlEvent(
        event_time=move.at,
        recorded_at=datetime.now(UTC),
        control_id=new_event_ids(1)[0],
        kind=move.kind,
        model_name=move.model_name,
        model_version=next((new for _, new in move.changed.values() if new), None),
        evidence={"before": dict(move.before), "after": dict(move.after), "reason": move.reason},
    )


def _record(move: RoleMove, story: Story) -> None:
    """Appends the control event; a log that fails does not undo what the registry already says."""
    try:
        writer = open_segment_log(StreamingSettings()).writer()
        try:
            writer.append([[encode(control_event(move))]])
        finally:
            writer.close()
    except StreamingError as error:
        story.warn(f"The roles are changed, but the log did not take the event: {error}")


def _await_served(move: RoleMove, story: Story) -> int:
    """Waits until the loader has published the new production version; exit code."""
    settings = ServingSettings()
    if not is_locked(UnderstudySettings().data_dir / "run"):
        story.say("Nothing runs on this machine's DATA_DIR; running loaders follow within LOADER_POLL_SECONDS.")
        return 0
    if move.model_name not in (served := model_names(settings)):
        story.say(f"MODELS={','.join(served)} does not serve it here: add {move.model_name}, then start again.")
        return 0
    wanted = move.after.get(VersioningSettings().production_alias)
    begun = time.monotonic()
    with story.bar("Waiting for the new version to answer", SERVED_WITHIN_SECONDS) as bar:
        while (seconds := time.monotonic() - begun) < SERVED_WITHIN_SECONDS:
            table = read_role_table(settings.bundles_dir / move.model_name)
            if table and "production" in table.roles and table.roles["production"].model_version == wanted:
                break
            if problem := _problem(table, wanted, move.at):
                story.warn(f"Version {wanted} cannot be served, so the version before goes on answering: {problem}")
                return 1
            bar.to(seconds)
            time.sleep(0.1)
        else:
            story.warn("It is not served yet: see `understudy status` and `understudy logs loader`.")
            return 1
    story.say(f"Version {wanted} answers, {time.monotonic() - begun:.1f} s after the change.")
    return 0


def _problem(table: RoleTable | None, version: str | None, since: datetime) -> str | None:
    problems = table.problems if table else []
    return next((p.message for p in problems if p.model_version == version and p.at >= since), None)
