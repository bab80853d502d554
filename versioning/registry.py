"""Registry: named models, their numbered versions, and the aliases that give a version its role."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, Protocol

REASON_MAX_CHARACTERS: Final = 1000


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
        """Adds a version (and the model, if new) and returns it; it has no alias, so it is a candidate.

        Raises ValueError for a name that `check_model_name` refuses.
        """

    def set_alias(self, model_name: str, alias: str, model_version: str) -> None:
        """Points an alias at a version, moving it if it exists.

        Raises NotFoundError, and ValueError for an alias that `check_alias` refuses.
        """

    def delete_alias(self, model_name: str, alias: str) -> None:
        """Removes an alias; nothing happens when it is not there. Raises NotFoundError for an unknown model."""

    def record_change(self, model_name: str, change: RoleChange) -> None:
        """Appends to the history of production, beside the model; a reason is cut at `REASON_MAX_CHARACTERS`."""

    def history(self, model_name: str) -> list[RoleChange]:
        """What was production when, as recorded, oldest first."""


def check_model_name(model_name: str) -> None:
    """Refuses names that cannot stand in an address, a file name or MLflow's search; raises ValueError."""
    if not re.fullmatch(r"[^\s/:%'\"`.][^/:%'\"`\x00-\x1f]{0,199}", model_name):
        raise ValueError(
            f"model name {model_name!r} cannot be used: 1 to 200 characters without / : % or quotes, "
            "not beginning with a dot or a blank"
        )


def check_alias(alias: str) -> None:
    """Refuses what MLflow refuses (`latest`, `v1`, other characters); raises ValueError."""
    if not re.fullmatch(r"(?!latest$)(?!v\d+$)[\w-]{1,255}", alias, re.IGNORECASE | re.ASCII):
        raise ValueError(
            f"alias {alias!r} cannot be used: letters, digits, - and _ only, and neither `latest` nor `v1`"
        )
