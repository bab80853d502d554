import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from serving.bundle import RoleTable, read_role_table
from versioning.connect import open_registry, open_tracking
from versioning.mlmodel import ColumnSpec
from versioning.registry import Registry
from versioning.settings import VersioningSettings


@dataclass
class House:
    """A data folder with a real registry, and the real loader started over it."""

    folder: Path
    registry: Registry
    models: str
    loaders: list[subprocess.Popen[bytes]] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)

    def start(self) -> subprocess.Popen[bytes]:
        # mlflow writes the store it last used into our environment, where a child would take it for a setting.
        inherited = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        environment = inherited | {
            "DATA_DIR": str(self.folder),
            "MODELS": self.models,
            "LOADER_POLL_SECONDS": "0.3",
            "SUPERVISOR_PID": str(os.getpid()),
            **self.settings,
        }
        with (self.folder / "loader.log").open("ab") as log:
            loader = subprocess.Popen(
                [sys.executable, "-m", "understudy", "run", "loader"], env=environment, stdout=log, stderr=log
            )
        self.loaders.append(loader)
        return loader

    def bundles(self, model_name: str) -> Path:
        return self.folder / "bundles" / model_name

    def table(self, model_name: str) -> RoleTable | None:
        return read_role_table(self.bundles(model_name))

    def roles(self, model_name: str) -> dict[str, str]:
        table = self.table(model_name)
        return {role: entry.model_version for role, entry in table.roles.items()} if table else {}

    def problems(self, model_name: str) -> dict[str, str]:
        table = self.table(model_name)
        return {problem.error_type: problem.message for problem in table.problems} if table else {}

    def said(self, event: str) -> bool:
        return event.encode() in (self.folder / "loader.log").read_bytes()

    def stop(self) -> None:
        for loader in self.loaders:
            if loader.poll() is None:
                loader.send_signal(signal.SIGTERM)
                loader.wait(30)


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose registry holds two versions of `iris` (ONNX) and one of `mail` (text: a process)."""
    folder = tmp_path_factory.mktemp("stock")
    settings = VersioningSettings(data_dir=folder)
    tracking, registry = open_tracking(settings), open_registry(settings)

    def log(name: str, model: Any, columns: list[ColumnSpec], example: Any) -> None:
        with tracking.start_run(name, name) as run:
            address = run.log_model(model, columns=columns, example=example)
            run.log_metrics({"training_accuracy": 0.75})
        registry.register(name, address, run_id=run.run_id)

    rows, target = load_iris(return_X_y=True, as_frame=True)
    columns = [ColumnSpec(column, "double") for column in rows.columns]
    for strength in (1.0, 0.01):
        log("iris", LogisticRegression(C=strength, max_iter=1000).fit(rows, target), columns, rows.head(3))
    mails = pd.DataFrame({"text": ["buy now", "cheap pills now", "see you at lunch", "minutes of the meeting"]})
    words = make_column_transformer((TfidfVectorizer(), "text"))
    spam = make_pipeline(words, LogisticRegression()).fit(mails, ["spam", "spam", "ham", "ham"])
    log("mail", spam, [ColumnSpec("text", "string")], mails.head(2))
    return folder


@pytest.fixture
def house(stocked: Path, tmp_path: Path) -> Iterator[House]:
    # Addresses in the registry are absolute: the files stay where they are, the database is copied.
    shutil.copyfile(stocked / "mlflow.db", tmp_path / "mlflow.db")
    house = House(tmp_path, open_registry(VersioningSettings(data_dir=tmp_path)), "iris")
    yield house
    house.stop()
