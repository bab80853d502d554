"""MemoryRegistry: the registry's twin for tests and experiments; it forgets everything with its process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock

from versioning.errors import NotFoundError
from versioning.registry import REASON_MAX_CHARACTERS, ModelVersion, RoleChange, check_alias, check_model_name


@dataclass
class _Model:
    versions: list[ModelVersion] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    changes: list[RoleChange] = field(default_factory=list)


class MemoryRegistry:
    """Thread-safe; numbers versions from 1 as MLflow does."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._lock = Lock()
        self._models: dict[str, _Model] = {}

    def models(self) -> list[str]:
        return sorted(self._models)

    def versions(self, model_name: str) -> list[ModelVersion]:
        return list(self._model(model_name).versions)

    def version(self, model_name: str, model_version: str) -> ModelVersion:
        for version in self._model(model_name).versions:
            if version.model_version == model_version:
                return version
        raise NotFoundError(f"model {model_name!r} has no version {model_version!r}")

    def aliases(self, model_name: str) -> Mapping[str, str]:
        return dict(self._model(model_name).aliases)

    def register(
        self, model_name: str, source: str, *, run_id: str | None = None, tags: Mapping[str, str] | None = None
    ) -> ModelVersion:
        check_model_name(model_name)
        with self._lock:
            model = self._models.setdefault(model_name, _Model())
            version = ModelVersion(
                model_name, str(len(model.versions) + 1), source, self._clock(), run_id, dict(tags or {})
            )
            model.versions.append(version)
            return version

    def set_alias(self, model_name: str, alias: str, model_version: str) -> None:
        check_alias(alias)
        self.version(model_name, model_version)
        with self._lock:
            self._model(model_name).aliases[alias] = model_version

    def delete_alias(self, model_name: str, alias: str) -> None:
        with self._lock:
            self._model(model_name).aliases.pop(alias, None)

    def record_change(self, model_name: str, change: RoleChange) -> None:
        with self._lock:
            kept = replace(change, reason=change.reason[:REASON_MAX_CHARACTERS])
            self._model(model_name).changes.append(kept)

    def history(self, model_name: str) -> list[RoleChange]:
        return sorted(self._model(model_name).changes, key=lambda change: change.at)

    def _model(self, model_name: str) -> _Model:
        try:
            return self._models[model_name]
        except KeyError:
            raise NotFoundError(f"no model {model_name!r} in the registry") from None
