"""Registry: named models, their numbered versions, and the aliases that give a version its role."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol


@dataclass(frozen=True)
class ModelVersion:
    """One registered version.

    Attributes:
        source: Where its files are, as the registry says (`s3://…`, `models:/…`, a path).
        run_id: The run that made it, if any.
    """

    model_name: str
    model_version: str
    source: str
    created_at: datetime
    run_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RoleChange:
    """From `at` on, `model_version` was production (None: no version was)."""

    at: datetime
    model_version: str | None
    kind: Literal["promoted", "rolled_back"]
    reason: str = ""


class Registry(Protocol):
    """Every call may block on a network up to its timeout, and may raise RegistryUnavailableError."""

    def models(self) -> list[str]:
        """Names of all registered models, sorted."""

    def versions(self, model_name: str) -> list[ModelVersion]:
        """All versions, oldest first. Raises NotFoundError for an unknown model."""

    def version(self, model_name: str, model_version: str) -> ModelVersion:
        """One version. Raises NotFoundError."""

    def aliases(self, model_name: str) -> Mapping[str, str]:
        """Alias to version number. Raises NotFoundError for an unknown model."""

    def register(
        self, model_name: str, source: str, *, run_id: str | None = None, tags: Mapping[str, str] | None = None
    ) -> ModelVersion:
        """Adds a version (and the model, if new) and returns it; it has no alias, so it is a candidate."""

    def set_alias(self, model_name: str, alias: str, model_version: str) -> None:
        """Points an alias at a version, moving it if it exists. Raises NotFoundError."""

    def delete_alias(self, model_name: str, alias: str) -> None:
        """Removes an alias; nothing happens when it is not there."""

    def record_change(self, model_name: str, change: RoleChange) -> None:
        """Appends to the history of production, beside the model."""

    def history(self, model_name: str) -> list[RoleChange]:
        """What was production when, as recorded, oldest first."""
