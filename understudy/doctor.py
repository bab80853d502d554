"""Examines what a machine needs: each check says what it found and, where it fails, the one thing to do."""

import http.client
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from serving.bundle import read_bundle, read_role_table
from serving.settings import ServingSettings
from streaming.embedded import open_store_reader
from streaming.errors import StreamingError
from streaming.segments import partitions
from streaming.settings import StreamingSettings
from understudy.readiness import model_names
from understudy.settings import UnderstudySettings
from understudy.supervisor.ports import holder_of, is_free
from understudy.supervisor.state import read_state
from versioning.settings import VersioningSettings

DISK_BYTES = 4 * 10**9
_PACKAGES = ("mlflow", "scikit-learn", "skl2onnx", "onnxruntime", "numpy", "pandas", "fastapi", "uvicorn", "msgspec")


class Check(NamedTuple):
    """One thing that must be right."""

    name: str
    ok: bool
    found: str
    fix: str


def examine() -> list[Check]:
    """Runs every check; none changes anything, and the slowest waits three seconds for a registry."""
    checks: tuple[Callable[[], Check], ...] = (
        _python, _packages, _disk, _rights, _clock, _ports, _registry, _bundles, _log, _store,
    )  # fmt: skip
    return [check() for check in checks]


def _python() -> Check:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Check(
        "python", (3, 11) <= sys.version_info < (3, 14), found, "Run scripts/up with Python 3.11, 3.12 or 3.13."
    )


def _packages() -> Check:
    versions: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "missing"
    found = ", ".join(f"{name} {number}" for name, number in versions.items())
    return Check("packages", "missing" not in versions.values(), found, "Run scripts/up: it installs what is missing.")


def _disk() -> Check:
    free = shutil.disk_usage(_existing(UnderstudySettings().data_dir)).free
    fix = "Free some space, or set DATA_DIR to a larger disk."
    return Check("disk", free >= DISK_BYTES, f"{free / 1e9:.1f} GB free, 4 GB wanted", fix)


def _rights() -> Check:
    folder = _existing(UnderstudySettings().data_dir)
    fix = f"Give this user the right to write {folder}, or set DATA_DIR."
    try:
        with tempfile.TemporaryFile(dir=folder):
            return Check("write rights", True, str(folder), fix)
    except OSError as error:
        return Check("write rights", False, f"{folder}: {error.strerror}", fix)


def _clock() -> Check:
    """Ids carry the time, so a clock before this very code was written would put events before all others."""
    written = datetime.fromtimestamp(Path(__file__).stat().st_mtime, UTC)
    now = datetime.now(UTC)
    return Check("clock", now >= written, f"{now:%Y-%m-%d %H:%M:%S} UTC", "Set the clock; let it follow a time server.")


def _ports() -> Check:
    serving, settings = ServingSettings(), UnderstudySettings()
    if read_state(settings.data_dir / "run"):
        return Check("ports", True, f"{serving.api_port} is ours, running", "")
    if serving.api_port == 0 or is_free(serving.api_host, serving.api_port):
        return Check("ports", True, f"{serving.api_port} is free", "")
    holder = holder_of(serving.api_port) or "another process"
    return Check("ports", False, f"{serving.api_port} is taken by {holder}", "Stop it, or set API_PORT to a free port.")


def _registry() -> Check:
    settings = VersioningSettings()
    address = urlsplit(settings.tracking_uri)
    if not address.scheme.startswith("http"):
        return Check("registry", True, settings.tracking_uri, "")
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=3.0)
    fix = "Start that server, or mend MLFLOW_TRACKING_URI; what is served goes on meanwhile."
    try:
        connection.request("GET", f"{address.path.rstrip('/')}/health")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return Check("registry", False, f"{settings.tracking_uri}: {error}", fix)
    finally:
        connection.close()
    return Check("registry", status == 200, f"{settings.tracking_uri} answered {status}", fix)


def _bundles() -> Check:
    serving = ServingSettings()
    found, broken = [], []
    for name in model_names(serving):
        table = read_role_table(serving.bundles_dir / name)
        for role, entry in table.roles.items() if table else ():
            try:
                bundle = read_bundle(serving.bundles_dir / name / entry.bundle)
            except (OSError, ValueError) as error:
                broken.append(f"{name} {role}: {error}")
            else:
                found.append(f"{name} {role} is version {bundle.model_version} ({bundle.engine})")
    fix = f"Delete the folder named under {serving.bundles_dir}: the loader makes it again."
    return Check("bundles", not broken, "; ".join(broken or found) or "none yet", fix)


def _log() -> Check:
    settings = StreamingSettings()
    try:
        spans = partitions(settings.log_dir) if settings.log_dir.exists() else {}
    except OSError as error:
        return Check("log", False, str(error), f"Give this user the right to read {settings.log_dir}.")
    live = sum(span.live for span in spans.values())
    return Check("log", True, f"{len(spans)} partitions, {live} being written, {settings.log_dir.absolute()}", "")


def _store() -> Check:
    settings = StreamingSettings()
    try:
        events = sum(open_store_reader(settings).counts().values())
    except StreamingError as error:
        return Check("store", False, str(error), "Stop everything, and move the damaged file away.")
    return Check("store", True, f"{events:,} predictions, {settings.store_dir.absolute()}", "")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    folder = folder.absolute()
    return next(parent for parent in (folder, *folder.parents) if parent.exists())
