"""Tracking: runs with their parameters, metrics, tags and files, and the models logged in them.

Names everybody agrees on are here, so that a run reads the same whoever made it.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from versioning.mlmodel import ColumnSpec

if TYPE_CHECKING:
    import pandas as pd

PROFILE_FILE: Final = "profile.json"
"""Run file: the reference profile (`versioning.profile`)."""
PARITY_ROWS_FILE: Final = "parity_rows.json"
"""Run file, optional: a JSON list of rows (column to value) the compiled model must answer like the original."""

DATASET_TAG: Final = "understudy.dataset"
TARGET_TAG: Final = "understudy.target"
TASK_TAG: Final = "understudy.task"
"""`classifier` or `regressor`."""
MODEL_KIND_TAG: Final = "understudy.model_kind"
"""Name in the zoo, e.g. `logistic`."""
TRAINED_FROM_TAG: Final = "understudy.trained_from"
TRAINED_UNTIL_TAG: Final = "understudy.trained_until"
"""ISO 8601, UTC: first and last event time of ALL data used to train, tune, calibrate, choose or profile."""


@dataclass(frozen=True)
class RunRecord:
    """What a run says once it was made; `metrics` holds each metric's last value."""

    run_id: str
    experiment: str
    name: str
    started_at: datetime
    ended_at: datetime | None
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


class Run(Protocol):
    """A run being written. Every call may block on a network and raise RegistryUnavailableError."""

    @property
    def run_id(self) -> str:
        """Give it to `Registry.register` with the model's address."""

    def log_params(self, params: Mapping[str, str | int | float | bool | None]) -> None:
        """Adds parameters; one that was logged before with another value is refused with ConflictError."""

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Adds metrics; the last value of a name counts. NaN and infinite values are left out by the caller."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Adds or replaces tags."""

    def log_file(self, name: str, content: bytes) -> None:
        """Adds or replaces a file of the run, e.g. `profile.json`; `/` in `name` makes folders."""

    def log_model(self, estimator: Any, *, columns: Sequence[ColumnSpec], example: "pd.DataFrame") -> str:
        """Logs a scikit-learn model and returns its address for `Registry.register`.

        Args:
            estimator: Fitted; every type in it must be one that `versioning.trust` trusts.
            columns: The input signature, named, in the model's order.
            example: A few valid input rows in the signature's types.

        Raises:
            ForbiddenModelError: The estimator holds types our own trust policy would refuse to load.
        """


class Tracking(Protocol):
    """Every call may block on a network up to its timeout, and may raise RegistryUnavailableError."""

    def start_run(
        self, experiment: str, name: str, *, tags: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Run]:
        """Opens a run (and the experiment, if new); leaving it ends the run as finished, or failed on an exception."""

    def read_run(self, run_id: str) -> RunRecord:
        """Raises NotFoundError."""

    def read_file(self, run_id: str, name: str, *, limit_bytes: int) -> bytes | None:
        """A file of the run, or None when it has none of this name. Raises ArtifactError when it is larger."""

    def resolve(self, address: str) -> str:
        """Where the files behind `models:/…` or `runs:/…` are: `s3://…`, a path, or what only `download` understands.

        Raises NotFoundError.
        """

    def download(self, address: str, into: Path, *, limit_bytes: int) -> None:
        """Brings a model's files into the empty folder `into`.

        Raises NotFoundError, and ArtifactError when they are larger than allowed; `into` may then hold some of them.
        """
