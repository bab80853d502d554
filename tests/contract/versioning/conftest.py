"""The registries and runs under one contract: the twin, MLflow on a file, and any server in UNDERSTUDY_TEST_MLFLOW_URI."""

import os
from pathlib import Path
from typing import cast

import pytest

from versioning.connect import open_registry, open_tracking
from versioning.memory import MemoryRegistry
from versioning.memory_tracking import MemoryTracking
from versioning.registry import Registry
from versioning.settings import VersioningSettings
from versioning.tracking import Tracking

_SERVER = os.environ.get("UNDERSTUDY_TEST_MLFLOW_URI", "")
_NO_SERVER = pytest.mark.skipif(not _SERVER, reason="no MLflow server: set UNDERSTUDY_TEST_MLFLOW_URI")
_KINDS = ["memory", "mlflow", pytest.param("mlflow-server", marks=_NO_SERVER)]


@pytest.fixture(scope="session", params=_KINDS)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> VersioningSettings | None:
    """The settings of the store under test; None is the twin."""
    if request.param == "memory":
        return None
    folder: Path = tmp_path_factory.mktemp("registry")
    return VersioningSettings(
        data_dir=folder, mlflow_tracking_uri=_SERVER if request.param == "mlflow-server" else None
    )


@pytest.fixture(scope="session")
def registry(store: VersioningSettings | None) -> Registry:
    return cast(Registry, MemoryRegistry()) if store is None else open_registry(store)


@pytest.fixture(scope="session")
def tracking(store: VersioningSettings | None) -> Tracking:
    return MemoryTracking() if store is None else open_tracking(store)
