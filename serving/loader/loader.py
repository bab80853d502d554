"""The loader's life: look at the aliases, have missing bundles built, publish what works."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from serving import metrics
from serving.bundle import Problem, RoleEntry, RoleTable, publish_role_table, read_role_table
from serving.loader.builds import Builds
from serving.loader.figures import Figures
from serving.loader.plan import next_roles, next_table
from serving.loader.shelf import Shelf
from serving.loader.specs import PRODUCTION, ModelSpec
from versioning.errors import NotFoundError, VersioningError
from versioning.registry import ModelVersion, Registry

_RETIREMENT = timedelta(seconds=30)
_log = logging.getLogger("understudy.serving")


class Processes(Protocol):
    """What the loader needs of `serving.engines.model_keeper.ModelKeeper`."""

    def keep(self, bundles: set[Path], /) -> None:
        """Says which bundles need a model process from now on."""

    def ready(self, folder: Path, /) -> bool:
        """Whether the bundle's model process answers."""

    def failures(self, folder: Path, /) -> int:
        """How often in a row it has ended by itself."""


@dataclass
class _Model:
    spec: ModelSpec
    published: RoleTable | None
    wanted: Mapping[str, str] | None = None
    versions: dict[str, ModelVersion] = field(default_factory=dict)
    registry_problem: Problem | None = None


@dataclass(frozen=True)
class LoaderParts:
    """What a loader is wired from.

    Attributes:
        registry: Opened at the first poll, because that takes seconds and what is published must not wait for it.
        report_change: Told of every model's production alias at every poll (`serving.loader.report`).
    """

    registry: Callable[[], Registry]
    shelf: Shelf
    builds: Builds
    processes: Processes
    report_change: Callable[[Registry, str, str], None]


class Loader:
    """Used by one thread.

    Args:
        keep_unused: How many bundles without a role stay per model.
    """

    def __init__(
        self, specs: list[ModelSpec], parts: LoaderParts, *, shadow_aliases: tuple[str, ...], keep_unused: int
    ) -> None:
        self._parts = parts
        self._shadow_aliases = shadow_aliases
        self._keep_unused = keep_unused
        self._registry: Registry | None = None
        self._retiring: dict[Path, datetime] = {}
        self._figures = Figures()
        self._models = [_Model(spec, read_role_table(parts.shelf.model_folder(spec.name))) for spec in specs]

    def resume(self, now: datetime) -> None:
        """Takes up what is published, without the registry."""
        for model in self._models:
            self._parts.shelf.sweep(model.spec.name)
            if model.published is not None:
                self._show(model.published)
        self._keep_processes(now)

    def poll(self, now: datetime) -> None:
        """Reads what the registry wants now; may block up to the registry's time-out."""
        try:
            self._registry = self._registry or self._parts.registry()
            for model in self._models:
                self._poll_model(self._registry, model, now)
        except VersioningError as error:
            metrics.loader_polls_total.labels("unavailable").inc()
            _log.warning("registry_unavailable", extra={"error": str(error)})
        else:
            metrics.loader_polls_total.labels("ok").inc()
        self.settle(now)
        for model in self._models:
            self._parts.shelf.prune(model.spec.name, self._used(model), self._keep_unused)

    def settle(self, now: datetime) -> None:
        """Publishes what has become ready since; quick, and does nothing when nothing has."""
        self._parts.builds.collect(now)
        for model in self._models:
            if model.wanted is not None:
                self._settle_model(model, model.wanted, now)
        self._keep_processes(now)

    def _poll_model(self, registry: Registry, model: _Model, now: datetime) -> None:
        name = model.spec.name
        try:
            model.wanted = model.spec.wanted(registry.aliases(name), self._shadow_aliases)
            for version in set(model.wanted.values()) - model.versions.keys():
                model.versions[version] = registry.version(name, version)
        except NotFoundError as error:
            model.registry_problem = Problem(PRODUCTION, None, "not_found", str(error), now)
            model.wanted = model.wanted or {}
            return
        model.registry_problem = None
        if PRODUCTION in model.wanted:
            self._parts.report_change(registry, name, model.wanted[PRODUCTION])
        else:
            model.registry_problem = Problem(PRODUCTION, None, "no_production", _no_production(model.spec), now)

    def _settle_model(self, model: _Model, wanted: Mapping[str, str], now: datetime) -> None:
        working: dict[str, RoleEntry] = {}
        problems = [model.registry_problem] if model.registry_problem else []
        for role, version in wanted.items():
            entry = self._bundle_of(model, version, now)
            problem = self._trouble(model, role, version, entry, now=now)
            if problem is not None:
                problems.append(problem)
            elif entry is not None and self._works(model, entry):
                working[role] = entry
        roles = next_roles(model.published, wanted, working)
        table = next_table(model.published, model.spec.name, roles, problems, now=now)
        if table is not None:
            self._publish(model, table, now)

    def _bundle_of(self, model: _Model, version: str, now: datetime) -> RoleEntry | None:
        registered = model.versions.get(version)
        entry = self._parts.shelf.find(model.spec.name, version, registered.run_id if registered else None)
        if entry is None and registered is not None:
            self._parts.builds.ask(registered, now)
        return entry

    def _trouble(
        self, model: _Model, role: str, version: str, entry: RoleEntry | None, *, now: datetime
    ) -> Problem | None:
        if entry is None:
            failure = self._parts.builds.failure(model.spec.name, version)
            return Problem(role, version, failure.error_type, failure.message, failure.at) if failure else None
        if self._works(model, entry) or not self._parts.processes.failures(self._path(model, entry)):
            return None
        message = "its model process ends by itself: see the loader's log for what it said last"
        return Problem(role, version, "model_process", message, now)

    def _works(self, model: _Model, entry: RoleEntry) -> bool:
        """Whether a bundle can answer. What is published stays so, even while its process is being restarted."""
        if model.published is not None and entry in model.published.roles.values():
            return True
        bundle = self._parts.shelf.bundle(model.spec.name, entry)
        return bundle is not None and (bundle.engine == "onnx" or self._parts.processes.ready(self._path(model, entry)))

    def _publish(self, model: _Model, table: RoleTable, now: datetime) -> None:
        before = set(model.published.roles.values()) if model.published else set()
        for entry in before - set(table.roles.values()):
            # Workers go on asking the old one until they have seen the new table.
            self._retiring[self._path(model, entry)] = now
        folder = self._parts.shelf.model_folder(table.model_name)
        folder.mkdir(parents=True, exist_ok=True)
        publish_role_table(folder, table)
        model.published = table
        self._show(table)
        roles = {role: entry.model_version for role, entry in table.roles.items()}
        fields = {"model_name": table.model_name, "generation": table.generation, "roles": roles}
        _log.info("roles_published", extra={**fields, "problems": len(table.problems)})

    def _used(self, model: _Model) -> frozenset[str]:
        return frozenset(entry.bundle for entry in self._entries(model)) | {path.name for path in self._retiring}

    def _entries(self, model: _Model) -> set[RoleEntry]:
        """What has a role, and what is about to have one."""
        entries = set(model.published.roles.values()) if model.published else set()
        wanted = (self._parts.shelf.find(model.spec.name, version) for version in (model.wanted or {}).values())
        return entries | {entry for entry in wanted if entry is not None}

    def _show(self, table: RoleTable) -> None:
        found = {role: self._parts.shelf.bundle(table.model_name, entry) for role, entry in table.roles.items()}
        self._figures.show(table, {role: bundle for role, bundle in found.items() if bundle is not None})

    def _keep_processes(self, now: datetime) -> None:
        self._retiring = {path: since for path, since in self._retiring.items() if now - since < _RETIREMENT}
        folders = set(self._retiring)
        for model in self._models:
            folders |= {self._path(model, entry) for entry in self._entries(model)}
        self._parts.processes.keep({folder for folder in folders if (folder / "model").exists()})

    def _path(self, model: _Model, entry: RoleEntry) -> Path:
        return self._parts.shelf.path(model.spec.name, entry)


def _no_production(spec: ModelSpec) -> str:
    return f"no version of {spec.name!r} has the alias {spec.alias!r}: understudy promote {spec.name} VERSION"
