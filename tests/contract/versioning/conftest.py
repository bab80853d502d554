"""The registries and runs under one contract: the twin, MLflow on a file, and a real MLflow server."""

import contextlib
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from understudy.roles.mlflow_ui import SERVER_ENVIRONMENT, server_command
from versioning.connect import open_registry, open_tracking
from versioning.memory import MemoryRegistry
from versioning.memory_tracking import MemoryTracking
from versioning.registry import Registry
from versioning.settings import VersioningSettings
from versioning.tracking import Tracking

_KINDS = ["memory", "mlflow", pytest.param("mlflow-server", marks=pytest.mark.slow)]
_START_SECONDS = 90


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real MLflow server: the one in UNDERSTUDY_TEST_MLFLOW_URI, else one of our own."""
    given = os.environ.get("UNDERSTUDY_TEST_MLFLOW_URI")
    if given:
        yield given
        return
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = VersioningSettings(data_dir=folder)
    with (folder / "log").open("wb") as log:
        environment = {**os.environ, **SERVER_ENVIRONMENT}
        process = subprocess.Popen(server_command(settings, port), env=environment, stdout=log, stderr=log)
        try:
            _wait_until_healthy(f"http://127.0.0.1:{port}", process, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=2):
            return
        time.sleep(0.2)
    pytest.fail(f"the MLflow server did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="session", params=_KINDS)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> VersioningSettings | None:
    """The settings of the store under test; None is the twin."""
    if request.param == "memory":
        return None
    folder: Path = tmp_path_factory.mktemp("registry")
    address = request.getfixturevalue("server") if request.param == "mlflow-server" else None
    return VersioningSettings(data_dir=folder, mlflow_tracking_uri=address)


@pytest.fixture(scope="session")
def registry(store: VersioningSettings | None) -> Registry:
    return cast(Registry, MemoryRegistry()) if store is None else open_registry(store)


@pytest.fixture(scope="session")
def tracking(store: VersioningSettings | None) -> Tracking:
    return MemoryTracking() if store is None else open_tracking(store)
