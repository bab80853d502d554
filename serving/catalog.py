"""What this process can answer with: every published role of every model, opened and warm.

The loader publishes role tables; `Catalog.refresh` takes a newer one over by opening what is new beside what
is there and then replacing one reference, so a swap falls between two ticks and no request waits for it.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from serving import metrics
from serving.bundle import Bundle, Problem, RoleTable, read_bundle, read_role_table
from serving.errors import NotReadyError, UnknownModelError
from serving.protocol.answers import AnswerText
from serving.row_codec import RowCodec
from serving.rows import Engine

_log = logging.getLogger("understudy.serving")

OpenEngine = Callable[[Path], Engine]


@dataclass(frozen=True, eq=False, slots=True)
class ServedModel:
    """One version in one role, ready to answer.

    Attributes:
        role: `production` or a shadow alias.
        codec: Typed rows of this version, aware of columns that only other roles know.
        text: This version's answers as JSON.
    """

    bundle: Bundle
    role: str
    engine: Engine
    codec: RowCodec
    text: AnswerText


@dataclass(frozen=True, slots=True)
class ModelRoles:
    """All roles of one model as of one generation of its table."""

    generation: int
    roles: Mapping[str, ServedModel]
    problems: tuple[Problem, ...]


class Catalog:
    """Models by name and role. Reading is lock-free; `refresh` runs in one thread at a time.

    Args:
        folder: The bundles folder.
        names: Models to serve; the first is the default.
        ignore_unknown: Whether rows may have fields that no loaded role knows.
    """

    def __init__(
        self, folder: Path, names: tuple[str, ...], open_engine: OpenEngine, *, ignore_unknown: bool = False
    ) -> None:
        self._folder = folder
        self._names = names
        self._open_engine = open_engine
        self._ignore_unknown = ignore_unknown
        self._engines: dict[str, Engine] = {}
        self._seen: dict[str, tuple[int, int]] = {}
        self._models: Mapping[str, ModelRoles] = MappingProxyType({})

    @property
    def models(self) -> Mapping[str, ModelRoles]:
        """What is published and open, by model name."""
        return self._models

    @property
    def names(self) -> tuple[str, ...]:
        """Models this process was told to serve."""
        return self._names

    def production(self, name: str | None = None) -> ServedModel:
        """The version that answers callers of `name` (the default model when None)."""
        return self._role(name, "production")

    def direct(self, name: str | None, *, role: str | None, version: str | None) -> ServedModel:
        """The version that a caller named by role or number. Raises UnknownModelError when it is not loaded here."""
        if role is not None:
            return self._role(name, role)
        roles = self._roles(name)
        for served in roles.values():
            if served.bundle.model_version == version:
                return served
        loaded = ", ".join(sorted(served.bundle.model_version for served in roles.values()))
        raise UnknownModelError(
            f"version {version!r} of {name or self._names[0]!r} is not loaded; loaded versions: {loaded}"
        )

    def _role(self, name: str | None, role: str) -> ServedModel:
        roles = self._roles(name)
        served = roles.get(role)
        if served is None and role == "production":
            raise NotReadyError(self._no_production(name or self._names[0]))
        if served is None:
            raise UnknownModelError(f"no version has the role {role!r}; roles: {', '.join(sorted(roles))}")
        return served

    def _no_production(self, name: str) -> str:
        causes = [one.message for one in self._models[name].problems if one.role == "production"]
        return f"model {name!r} has no production version yet{f': {causes[0]}' if causes else '; set its production alias'}"

    def _roles(self, name: str | None) -> Mapping[str, ServedModel]:
        wanted = name or self._names[0]
        model = self._models.get(wanted)
        if model is not None:
            return model.roles
        if wanted in self._names:
            raise NotReadyError(f"model {wanted!r} has no production version yet: the loader has published none")
        raise UnknownModelError(f"no model named {wanted!r} is served here; served: {', '.join(self._names)}")

    def refresh(self, name: str) -> list[Engine]:
        """Takes over a newer role table of one model, if any; may load model files and block.

        Whatever is wrong with the table or its bundles is raised, and what is served stays.

        Returns:
            Engines no role uses any more, for the caller to close when nothing is in flight.
        """
        self._refresh_model(name)
        return self._unused_engines()

    def _refresh_model(self, name: str) -> None:
        mark = _mark(self._folder / name / "roles.json")
        if mark is None or self._seen.get(name) == mark:
            return
        table = read_role_table(self._folder / name)
        current = self._models.get(name)
        if table is not None and (current is None or table.generation > current.generation):
            self._models = MappingProxyType({**self._models, name: self._open(table)})
            _log.info("roles_taken_over", extra=_swap_fields(table))
            metrics.model_swaps_total.labels(name).inc()
        self._seen[name] = mark

    def _open(self, table: RoleTable) -> ModelRoles:
        bundles = {
            role: (entry.bundle, read_bundle(self._folder / table.model_name / entry.bundle))
            for role, entry in table.roles.items()
        }
        roles = {role: self._serve(role, key, bundle, bundles) for role, (key, bundle) in bundles.items()}
        return ModelRoles(table.generation, MappingProxyType(roles), tuple(table.problems))

    def _serve(self, role: str, key: str, bundle: Bundle, bundles: Mapping[str, tuple[str, Bundle]]) -> ServedModel:
        own = {column.name for column in bundle.signature.columns}
        extra = {
            column.name: column
            for _, other in bundles.values()
            for column in other.signature.columns
            if column.name not in own
        }
        codec = RowCodec(bundle.signature, extra_columns=tuple(extra.values()), ignore_unknown=self._ignore_unknown)
        folder = f"{bundle.model_name}/{key}"
        if folder not in self._engines:
            self._engines[folder] = self._open_engine(self._folder / folder)
        return ServedModel(bundle, role, self._engines[folder], codec, AnswerText(bundle.classes))

    def _unused_engines(self) -> list[Engine]:
        used = {id(served.engine) for model in self._models.values() for served in model.roles.values()}
        unused = {folder: engine for folder, engine in self._engines.items() if id(engine) not in used}
        for folder in unused:
            del self._engines[folder]
        return list(unused.values())


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_ino


def _swap_fields(table: RoleTable) -> dict[str, object]:
    return {
        "model_name": table.model_name,
        "generation": table.generation,
        "roles": {role: entry.model_version for role, entry in table.roles.items()},
        "seconds_since_published": round((datetime.now(UTC) - table.published_at).total_seconds(), 3),
    }
