"""A version's files on this machine: fetched from where the registry says, limited, digested and pinned."""

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from versioning.connect import open_tracking
from versioning.errors import ArtifactError, NotFoundError
from versioning.metrics import ARTIFACT_BYTES, ARTIFACT_FETCH_DURATION, MODEL_FILES_REFUSED
from versioning.mlmodel import InputExample, MlModel, read_mlmodel
from versioning.pins import digest_of, pin_digest
from versioning.registry import ModelVersion
from versioning.s3 import download_folder
from versioning.settings import VersioningSettings
from versioning.tracking import PARITY_ROWS_FILE, PROFILE_FILE, RunRecord, Tracking

__all__ = ["FetchedModel", "InputExample", "MlModel", "fetch_model", "read_mlmodel"]

_RUN_FILE_MAX_BYTES: Final = 64 * 1024**2
_FILES_MAX: Final = 10_000


@dataclass(frozen=True)
class FetchedModel:
    """One version, fetched.

    Attributes:
        folder: The model's own files (MLmodel and what it names).
        digest: SHA-256 over them, see `versioning.pins.digest_of`.
        profile: The reference profile logged with its run, if any.
        parity_rows: Rows logged with its run to prove the compiled model on, if any.
        run: What its run says; None when it has none, or the run was deleted.
    """

    version: ModelVersion
    folder: Path
    digest: str
    mlmodel: MlModel
    profile: Path | None
    parity_rows: Path | None
    run: RunRecord | None


def fetch_model(
    version: ModelVersion, settings: VersioningSettings, into: Path, *, tracking: Tracking | None = None
) -> FetchedModel:
    """Brings a version's files into `into` (not there yet), which appears complete or not at all, and pins its digest.

    Nothing of the model is loaded or run. `tracking` is opened from the settings when it is needed and not given.

    Raises:
        NotFoundError: The files are not where the registry says.
        ArtifactError: They are too large, no MLflow model, or not those seen first under this version.
        RegistryUnavailableError: Registry or store did not answer.
    """
    started = time.monotonic()
    draft = into.with_name(f".{into.name}.part")
    with _draft_folder(draft):
        with _refusals_counted(version.model_name):
            run = _bring(_Source(version, settings, tracking), draft)
        digest = digest_of(draft / "model")
        pin_digest(settings, version, digest)
        draft.rename(into)
    ARTIFACT_FETCH_DURATION.labels(version.model_name).observe(time.monotonic() - started)
    ARTIFACT_BYTES.labels(version.model_name).inc(_total_bytes(into))
    return FetchedModel(
        version=version,
        folder=into / "model",
        digest=digest,
        mlmodel=read_mlmodel(into / "model"),
        profile=_if_there(into / PROFILE_FILE),
        parity_rows=_if_there(into / PARITY_ROWS_FILE),
        run=run,
    )


def _bring(source: "_Source", draft: Path) -> RunRecord | None:
    source.bring_model(draft / "model")
    read_mlmodel(draft / "model")
    run = source.run()
    if run is not None:
        source.bring_run_files(draft)
    return run


class _Source:
    """Where one version's files come from; opens the tracking store only if it must."""

    def __init__(self, version: ModelVersion, settings: VersioningSettings, tracking: Tracking | None) -> None:
        self._version = version
        self._settings = settings
        self._opened = tracking

    def bring_model(self, into: Path) -> None:
        into.mkdir(parents=True)
        address = self._version.source
        if _local_path(address) is None and not address.startswith("s3://"):
            address = self._tracking().resolve(address)
        local = _local_path(address)
        if local is not None:
            _copy(local, into, self._settings.artifact_max_bytes)
        elif address.startswith("s3://"):
            download_folder(address, into, self._settings)
        else:
            self._tracking().download(address, into, limit_bytes=self._settings.artifact_max_bytes)

    def run(self) -> RunRecord | None:
        if self._version.run_id is None:
            return None
        try:
            return self._tracking().read_run(self._version.run_id)
        except NotFoundError:
            return None

    def bring_run_files(self, into: Path) -> None:
        assert self._version.run_id is not None
        for name in (PROFILE_FILE, PARITY_ROWS_FILE):
            content = self._tracking().read_file(self._version.run_id, name, limit_bytes=_RUN_FILE_MAX_BYTES)
            if content is not None:
                (into / name).write_bytes(content)

    def _tracking(self) -> Tracking:
        if self._opened is None:
            self._opened = open_tracking(self._settings)
        return self._opened


@contextmanager
def _draft_folder(draft: Path) -> Iterator[None]:
    shutil.rmtree(draft, ignore_errors=True)  # of a fetch that was killed
    draft.mkdir(parents=True)
    try:
        yield
    except OSError as error:
        raise ArtifactError(f"the model's files cannot be stored here: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _refusals_counted(model_name: str) -> Iterator[None]:
    try:
        yield
    except (ArtifactError, NotFoundError):
        MODEL_FILES_REFUSED.labels(model_name, "unusable").inc()
        raise


def _local_path(address: str) -> Path | None:
    """The path an address names, or None when it names something else."""
    if address.startswith("file:"):
        return Path(unquote(urlsplit(address).path))
    return None if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", address) or not address else Path(address)


def _copy(source: Path, into: Path, limit_bytes: int) -> None:
    if not source.is_dir():
        raise NotFoundError(f"the model's folder {source} is not there")
    size = _total_bytes(source)
    if size > limit_bytes:
        raise ArtifactError(f"the model in {source} is {size} bytes, more than ARTIFACT_MAX_BYTES={limit_bytes}")
    try:
        shutil.copytree(source, into, dirs_exist_ok=True)
    except shutil.Error as error:
        raise ArtifactError(f"the model in {source} cannot be copied: {error}") from error


def _total_bytes(folder: Path) -> int:
    """Of all files; refuses what is neither file nor folder (a pipe would block for ever)."""
    total = 0
    for count, path in enumerate(folder.rglob("*")):
        if count > _FILES_MAX:
            raise ArtifactError(f"{folder} holds more than {_FILES_MAX} files")
        if path.is_file():
            total += path.stat().st_size
        elif not path.is_dir():
            raise ArtifactError(f"{path} is neither a file nor a folder")
    return total


def _if_there(path: Path) -> Path | None:
    return path if path.is_file() else None
