"""A version's digest is pinned when it is first seen: the same version with other files is refused."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from versioning.errors import ArtifactError
from versioning.metrics import MODEL_FILES_REFUSED
from versioning.registry import ModelVersion
from versioning.settings import TRUST_FILE, VersioningSettings, public_address

_CHUNK_BYTES = 1024**2


def digest_of(folder: Path) -> str:
    """SHA-256 over all files: per file, in the order of their relative paths, its path, its size and its contents."""
    total = hashlib.sha256()
    files = (path for path in folder.rglob("*") if path.is_file())
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in files):
        total.update(f"{len(name.encode())}:{name}:{path.stat().st_size}:".encode())
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                total.update(chunk)
    return total.hexdigest()


def pin_digest(settings: VersioningSettings, version: ModelVersion, digest: str) -> None:
    """Remembers the digest at first sight, and compares it from then on.

    Raises:
        ArtifactError: This version had other files before, or the pins cannot be read.
    """
    path = settings.data_dir / TRUST_FILE
    registry = public_address(settings.tracking_uri)
    with _locked(path):
        pins = _read(path)
        versions = pins.setdefault(registry, {}).setdefault(version.model_name, {})
        seen = versions.setdefault(version.model_version, digest)
        if seen == digest:
            _write(path, pins)
            return
    MODEL_FILES_REFUSED.labels(version.model_name, "changed").inc()
    raise ArtifactError(
        f"the files of {version.model_name!r} version {version.model_version} are not those seen first "
        f"(SHA-256 {seen[:12]}…, now {digest[:12]}…): register changed files as a new version; if they were replaced "
        f"on purpose, remove this version from {path}"
    )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(path: Path) -> dict[str, Any]:
    try:
        pins = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ArtifactError(
            f"{path} is corrupt ({error}): restore it, or remove it to trust what is there now"
        ) from error
    if not isinstance(pins, dict):
        raise ArtifactError(f"{path} is corrupt (not an object): restore it, or remove it to trust what is there now")
    return pins


def _write(path: Path, pins: dict[str, Any]) -> None:
    draft = path.with_suffix(f".{os.getpid()}.draft")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(pins, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
