"""MlflowTracking: runs on an MLflow 3 server, or on a database file of its own."""

import importlib.metadata
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from versioning.errors import ArtifactError, ConflictError, ForbiddenModelError
from versioning.mlflow_edge import open_client, quiet, translated
from versioning.mlmodel import ColumnSpec
from versioning.settings import VersioningSettings
from versioning.tracking import Run, RunRecord
from versioning.trust import TrustPolicy, audit_types, trust_policy, unusable_types

if TYPE_CHECKING:
    import pandas as pd

_HIDDEN_TAGS = "mlflow."
_MODEL_NAME = "model"
_FLAVOR_TAGS = {"mlflow.flavor": "mlflow.sklearn"}
_MODEL_PACKAGES = ("scikit-learn", "numpy", "pandas", "scipy", "skops")
_LOGGED_MODEL = re.compile(r"models:/(m-[^/@]+)")
_REGISTERED_MODEL = re.compile(r"models:/([^/@]+)/(\d+)")
_RUN_FILES = re.compile(r"runs:/([^/]+)/(.+)")


class MlflowTracking:
    """Thread-safe: it uses none of mlflow's state per process (active run, active store)."""

    def __init__(self, settings: VersioningSettings) -> None:
        self._settings = settings
        self._client = open_client(settings)

    @contextmanager
    def start_run(self, experiment: str, name: str, *, tags: Mapping[str, str] | None = None) -> Iterator[Run]:
        with translated(self._settings, f"experiment {experiment!r}"):
            run = self._client.create_run(self._experiment_id(experiment), run_name=name, tags=dict(tags or {}))
        run_id = run.info.run_id
        try:
            yield _MlflowRun(self._settings, self._client, run_id)
        except BaseException:
            self._end(run_id, "FAILED")
            raise
        self._end(run_id, "FINISHED")

    def read_run(self, run_id: str) -> RunRecord:
        with translated(self._settings, f"run {run_id!r}"):
            run = self._client.get_run(run_id)
            experiment = self._client.get_experiment(run.info.experiment_id).name
        return _record(run, experiment)

    def read_file(self, run_id: str, name: str, *, limit_bytes: int) -> bytes | None:
        with translated(self._settings, f"file {name!r} of run {run_id!r}"):
            folder = name.rpartition("/")[0] or None
            found = next((item for item in self._client.list_artifacts(run_id, folder) if item.path == name), None)
            if found is None or found.is_dir:
                return None
            _refuse_large(f"file {name!r} of run {run_id!r}", found.file_size, limit_bytes)
            with tempfile.TemporaryDirectory() as folder_here:
                return Path(self._client.download_artifacts(run_id, name, folder_here)).read_bytes()

    def resolve(self, address: str) -> str:
        with translated(self._settings, f"model files {address!r}"):
            found = _LOGGED_MODEL.fullmatch(address)
            if found:
                return str(self._client.get_logged_model(found[1]).artifact_location)
            found = _REGISTERED_MODEL.fullmatch(address)
            if found:
                return self.resolve(self._client.get_model_version_download_uri(found[1], found[2]))
            found = _RUN_FILES.fullmatch(address)
            if found:
                return self._in_run(found[1], found[2])
        return address

    def download(self, address: str, into: Path, *, limit_bytes: int) -> None:
        from mlflow.store.artifact import artifact_repository_registry as repositories  # noqa: PLC0415 - slow import

        where = self.resolve(address)
        with translated(self._settings, f"model files {address!r}"):
            uri = self._settings.tracking_uri
            repository = repositories.get_artifact_repository(where, tracking_uri=uri, registry_uri=uri)
            _refuse_large(f"model {address!r}", _total_bytes(repository, None), limit_bytes)
            repository.download_artifacts("", dst_path=str(into))

    def _in_run(self, run_id: str, name: str) -> str:
        """A model's folder in a run; MLflow 3 keeps it beside the run, in a logged model of this name."""
        run = self._client.get_run(run_id)
        outputs = run.outputs.model_outputs if run.outputs else []
        logged = [self._client.get_logged_model(output.model_id) for output in outputs]
        location = next((model.artifact_location for model in logged if model.name == name), None)
        return str(location or f"{run.info.artifact_uri.rstrip('/')}/{name}")

    def _experiment_id(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None and found.lifecycle_stage == "active":
            return str(found.experiment_id)
        if found is not None:
            self._client.restore_experiment(found.experiment_id)
            return str(found.experiment_id)
        folder = self._settings.artifact_root / uuid4().hex[:12] if self._settings.own_registry else None
        try:
            with translated(self._settings, f"experiment {name!r}"):
                return str(self._client.create_experiment(name, artifact_location=folder and folder.as_uri()))
        except ConflictError:
            return str(self._client.get_experiment_by_name(name).experiment_id)

    def _end(self, run_id: str, status: str) -> None:
        with translated(self._settings, f"run {run_id!r}"):
            self._client.set_terminated(run_id, status)


class _MlflowRun:
    """One run being written."""

    def __init__(self, settings: VersioningSettings, client: Any, run_id: str) -> None:
        self._settings = settings
        self._client = client
        self._run_id = run_id

    @property
    def run_id(self) -> str:
        return self._run_id

    def log_params(self, params: Mapping[str, str | int | float | bool | None]) -> None:
        logged = self._get().data.params
        changed = [name for name, value in params.items() if logged.get(name, str(value)) != str(value)]
        if changed:
            raise ConflictError(f"parameters {changed} of run {self._run_id} were logged before with other values")
        with translated(self._settings, f"run {self._run_id!r}"):
            for name, value in params.items():
                self._client.log_param(self._run_id, name, value)

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        with translated(self._settings, f"run {self._run_id!r}"):
            for name, value in metrics.items():
                self._client.log_metric(self._run_id, name, value)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        with translated(self._settings, f"run {self._run_id!r}"):
            for name, value in tags.items():
                self._client.set_tag(self._run_id, name, value)

    def log_file(self, name: str, content: bytes) -> None:
        folder, _, file_name = name.rpartition("/")
        with translated(self._settings, f"run {self._run_id!r}"), tempfile.TemporaryDirectory() as here:
            path = Path(here) / file_name
            path.write_bytes(content)
            self._client.log_artifact(self._run_id, str(path), folder or None)

    def log_model(self, estimator: Any, *, columns: Sequence[ColumnSpec], example: "pd.DataFrame") -> str:
        policy = trust_policy(self._settings, model_name="")
        with translated(self._settings, f"model of run {self._run_id!r}"), tempfile.TemporaryDirectory() as here:
            logged = self._client.create_logged_model(
                self._get().info.experiment_id, name=_MODEL_NAME, source_run_id=self._run_id, tags=_FLAVOR_TAGS
            )
            folder = Path(here) / "model"
            try:
                _save(estimator, folder, _Description(logged, self._run_id, columns, example), policy)
                self._client.log_model_artifacts(logged.model_id, str(folder))
            except BaseException:
                self._client.finalize_logged_model(logged.model_id, "FAILED")
                raise
            self._link(logged.model_id)
        return f"models:/{logged.model_id}"

    def _link(self, model_id: str) -> None:
        from mlflow.entities import LoggedModelOutput  # noqa: PLC0415 - imported with the client

        self._client.finalize_logged_model(model_id, "READY")
        self._client.log_outputs(self._run_id, [LoggedModelOutput(model_id, step=0)])

    def _get(self) -> Any:
        with translated(self._settings, f"run {self._run_id!r}"):
            return self._client.get_run(self._run_id)


@dataclass(frozen=True)
class _Description:
    """What is written beside a model."""

    logged: Any
    run_id: str
    columns: Sequence[ColumnSpec]
    example: "pd.DataFrame"


def _save(estimator: Any, folder: Path, described: _Description, policy: TrustPolicy) -> None:
    with quiet():
        import mlflow.sklearn  # noqa: PLC0415 - takes seconds
        from mlflow.models import Model, ModelSignature  # noqa: PLC0415

        logged = described.logged
        model = Model(
            artifact_path=logged.artifact_location,
            run_id=described.run_id,
            model_uuid=logged.model_id,
            model_id=logged.model_id,
        )
        types = audit_types(estimator)
        refused = [name for name in types if name not in policy.types]
        if refused:
            raise ForbiddenModelError(f"this estimator could not be loaded again: {unusable_types(refused)}")
        mlflow.sklearn.save_model(
            estimator,
            str(folder),
            mlflow_model=model,
            signature=ModelSignature(inputs=_schema(described.columns), outputs=_output_schema(estimator)),
            input_example=described.example,
            serialization_format="skops",
            skops_trusted_types=types,
            pip_requirements=_requirements(),
        )


def _schema(columns: Sequence[ColumnSpec]) -> Any:
    from mlflow.types.schema import ColSpec, Schema  # noqa: PLC0415 - imported with the client

    return Schema([ColSpec(column.type, column.name, required=column.required) for column in columns])


def _output_schema(estimator: Any) -> Any:
    """One column of the class type, or a double for regressors."""
    kind = getattr(getattr(estimator, "classes_", None), "dtype", None)
    names = {"b": "boolean", "i": "long", "u": "long", "f": "double"}
    return _schema([ColumnSpec(None, "double" if kind is None else names.get(kind.kind, "string"))])


def _requirements() -> list[str]:
    """What the model needs, as installed: mlflow's own guess starts a process and takes ten times as long."""
    return [f"{name}=={importlib.metadata.version(name)}" for name in _MODEL_PACKAGES]


def _total_bytes(repository: Any, folder: str | None) -> int:
    total = 0
    for item in repository.list_artifacts(folder):
        total += _total_bytes(repository, item.path) if item.is_dir else item.file_size or 0
    return total


def _refuse_large(what: str, size_bytes: int | None, limit_bytes: int) -> None:
    if (size_bytes or 0) > limit_bytes:
        raise ArtifactError(f"{what} is {size_bytes} bytes, more than the {limit_bytes} allowed")


def _record(run: Any, experiment: str) -> RunRecord:
    return RunRecord(
        run_id=run.info.run_id,
        experiment=experiment,
        name=run.info.run_name,
        started_at=_time(run.info.start_time),
        ended_at=_time(run.info.end_time) if run.info.end_time else None,
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        tags={name: value for name, value in run.data.tags.items() if not name.startswith(_HIDDEN_TAGS)},
    )


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
