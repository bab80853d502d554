"""Model folders made without mlflow: small, real, and different in the one thing a test is about."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml  # type: ignore[import-untyped] # ships no types
from sklearn.ensemble import RandomForestClassifier

from versioning.memory_tracking import MemoryTracking
from versioning.mlmodel import ColumnSpec
from versioning.settings import VersioningSettings

ROWS = pd.DataFrame({"length": np.arange(40) / 8, "count": np.arange(40) % 5})
COLUMNS = (ColumnSpec("length", "double", required=False), ColumnSpec("count", "long"))

WriteMlmodel = Callable[..., Path]


@pytest.fixture
def settings(tmp_path: Path) -> VersioningSettings:
    return VersioningSettings(data_dir=tmp_path / "var", mlflow_tracking_uri="http://registry.invalid")


@pytest.fixture(scope="session")
def estimator() -> Any:
    return RandomForestClassifier(n_estimators=3, random_state=0).fit(ROWS, ROWS["count"] > 2)


@pytest.fixture
def skops_model(tmp_path: Path, estimator: Any) -> Path:
    """A forest as it is logged today."""
    tracking = MemoryTracking()
    with tracking.start_run("e", "r") as run:
        address = run.log_model(estimator, columns=COLUMNS, example=ROWS.head(2))
    folder = tmp_path / "skops-model"
    folder.mkdir()
    tracking.download(address, folder, limit_bytes=10**8)
    return folder


@pytest.fixture
def write_mlmodel(tmp_path: Path) -> WriteMlmodel:
    def write(flavors: Any, **more: Any) -> Path:
        folder = tmp_path / "model"
        folder.mkdir(exist_ok=True)
        (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors, **more}))
        return folder

    return write


@pytest.fixture
def pickle_model(write_mlmodel: WriteMlmodel, estimator: Any) -> Path:
    """A forest as MLflow 2 logged it."""
    inputs = json.dumps([{"name": "length", "type": "double"}, {"name": "count", "type": "long"}])
    folder = write_mlmodel(
        {
            "python_function": {
                "loader_module": "mlflow.sklearn",
                "model_path": "model.pkl",
                "python_version": "3.10.1",
            },
            "sklearn": {
                "pickled_model": "model.pkl",
                "serialization_format": "cloudpickle",
                "sklearn_version": "1.2.2",
            },
        },
        signature={"inputs": inputs, "outputs": None},
    )
    (folder / "model.pkl").write_bytes(pickle.dumps(estimator))
    return folder
