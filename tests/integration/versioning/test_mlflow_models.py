"""Real MLflow on a file: models of ours and of users', from logging to loading."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from versioning.artifacts import fetch_model
from versioning.connect import open_registry, open_tracking
from versioning.errors import ArtifactError, ForbiddenModelError, NotFoundError, RegistryUnavailableError
from versioning.mlflow_edge import open_client, quiet
from versioning.mlflow_pyfunc import load_pyfunc
from versioning.mlmodel import ColumnSpec
from versioning.registry import ModelVersion, Registry, RoleChange
from versioning.roles import Decision, RoleNames, promote
from versioning.settings import VersioningSettings
from versioning.tracking import PROFILE_FILE
from versioning.trust import load_sklearn, trust_policy

ROWS = pd.DataFrame({"length": np.arange(60) / 8, "count": np.arange(60) % 5})
LABELS = ROWS["count"] > 2
COLUMNS = (ColumnSpec("length", "double", required=False), ColumnSpec("count", "long"))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> VersioningSettings:
    return VersioningSettings(data_dir=tmp_path_factory.mktemp("versioning") / "var", mlflow_tracking_uri=None)


@pytest.fixture(scope="module")
def registry(settings: VersioningSettings) -> Registry:
    return open_registry(settings)


@pytest.fixture
def mlflow_here(settings: VersioningSettings, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Mlflow as a user would use it, pointed at our store."""
    with quiet():
        import mlflow.pyfunc  # noqa: PLC0415 - warns while it is imported
        import mlflow.sklearn  # noqa: PLC0415

        monkeypatch.setenv("MLFLOW_TRACKING_URI", settings.tracking_uri)
        mlflow.set_tracking_uri(settings.tracking_uri)
        mlflow.set_experiment("users")
        yield mlflow
        mlflow.set_tracking_uri("")


def log_ours(settings: VersioningSettings, registry: Registry, name: str) -> ModelVersion:
    with open_tracking(settings).start_run("flights", "forest") as run:
        run.log_file(PROFILE_FILE, b"{}")
        run.log_metrics({"evaluation_accuracy": 0.75})
        estimator = RandomForestClassifier(n_estimators=5, random_state=0).fit(ROWS, LABELS)
        address = run.log_model(estimator, columns=COLUMNS, example=ROWS.head(2))
    return registry.register(name, address, run_id=run.run_id)


def test_a_version_goes_from_a_run_to_production_to_an_estimator(
    settings: VersioningSettings, registry: Registry, tmp_path: Path
) -> None:
    version = log_ours(settings, registry, "ours")
    promote(registry, "ours", "1", names=RoleNames(), decision=Decision(datetime.now(UTC)))

    found = registry.version("ours", registry.aliases("ours")["production"])
    fetched = fetch_model(found, settings, tmp_path / "ours-1")

    assert found == version
    assert fetched.profile is not None
    assert fetched.run is not None
    assert fetched.run.metrics["evaluation_accuracy"] == 0.75
    assert fetched.mlmodel.signature is not None
    assert fetched.mlmodel.signature.columns == COLUMNS
    assert load_sklearn(fetched.folder, trust_policy(settings, "ours")).predict(ROWS).tolist() == LABELS.tolist()


def test_files_replaced_in_the_store_are_refused(
    settings: VersioningSettings, registry: Registry, tmp_path: Path
) -> None:
    version = log_ours(settings, registry, "replaced")
    fetch_model(version, settings, tmp_path / "first")
    stored = Path(open_tracking(settings).resolve(version.source).removeprefix("file://")) / "model.skops"
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(content)

    with pytest.raises(ArtifactError, match="not those seen first"):
        fetch_model(version, settings, tmp_path / "second")


def test_files_deleted_in_the_store_are_named(settings: VersioningSettings, registry: Registry, tmp_path: Path) -> None:
    version = log_ours(settings, registry, "deleted")
    stored = Path(open_tracking(settings).resolve(version.source).removeprefix("file://"))
    stored.rename(tmp_path / "elsewhere")

    with pytest.raises(NotFoundError, match=str(stored)):
        fetch_model(version, settings, tmp_path / "deleted-1")


@pytest.mark.parametrize("estimator", [LogisticRegression(), HistGradientBoostingClassifier(max_iter=2)], ids=str)
def test_a_users_skops_model_is_loaded(
    settings: VersioningSettings, registry: Registry, mlflow_here: Any, tmp_path: Path, estimator: Any
) -> None:
    name = f"users-{type(estimator).__name__}"
    with quiet(), mlflow_here.start_run():
        mlflow_here.sklearn.log_model(
            estimator.fit(ROWS, LABELS),
            name="anything",
            registered_model_name=name,
            skops_trusted_types=[
                "numpy.dtype",
                "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
            ],
            pip_requirements=["scikit-learn"],
        )

    fetched = fetch_model(registry.version(name, "1"), settings, tmp_path / "users")

    assert fetched.mlmodel.signature is None
    assert len(load_sklearn(fetched.folder, trust_policy(settings, name)).predict(ROWS)) == len(ROWS)


def test_a_users_pickle_needs_and_gets_permission(
    settings: VersioningSettings, registry: Registry, mlflow_here: Any, tmp_path: Path
) -> None:
    with quiet(), mlflow_here.start_run():
        mlflow_here.sklearn.log_model(
            LogisticRegression().fit(ROWS, LABELS),
            name="model",
            registered_model_name="pickled",
            serialization_format="cloudpickle",
            pip_requirements=["scikit-learn"],
        )
    folder = fetch_model(registry.version("pickled", "1"), settings, tmp_path / "pickled").folder

    with pytest.raises(ForbiddenModelError, match="ALLOW_PICKLE=pickled"):
        load_sklearn(folder, trust_policy(settings, "pickled"))

    allowed = settings.model_copy(update={"allow_pickle": "pickled"})
    assert len(load_sklearn(folder, trust_policy(allowed, "pickled")).predict(ROWS)) == len(ROWS)


def test_a_model_kept_among_a_runs_files_as_mlflow_2_did_is_fetched(
    settings: VersioningSettings, registry: Registry, mlflow_here: Any, tmp_path: Path
) -> None:
    with quiet(), mlflow_here.start_run() as run:
        mlflow_here.sklearn.save_model(
            LogisticRegression().fit(ROWS, LABELS),
            str(tmp_path / "model"),
            skops_trusted_types=["numpy.dtype"],
            pip_requirements=["scikit-learn"],
        )
        mlflow_here.log_artifacts(str(tmp_path / "model"), "model")
    by_run = registry.register("older", f"runs:/{run.info.run_id}/model", run_id=run.info.run_id)
    by_path = registry.register("older", f"{run.info.artifact_uri}/model", run_id=run.info.run_id)

    digests = {fetch_model(version, settings, tmp_path / version.model_version).digest for version in (by_run, by_path)}

    assert len(digests) == 1


def test_a_users_own_python_model_is_refused_until_it_is_allowed(
    settings: VersioningSettings, registry: Registry, mlflow_here: Any, tmp_path: Path
) -> None:
    with quiet():

        class Doubler(mlflow_here.pyfunc.PythonModel):  # type: ignore[misc] # mlflow is untyped
            def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - mlflow warns about hints
                return model_input * 2

        with mlflow_here.start_run():
            mlflow_here.pyfunc.log_model(
                name="model", python_model=Doubler(), registered_model_name="doubler", pip_requirements=["numpy"]
            )
    folder = fetch_model(registry.version("doubler", "1"), settings, tmp_path / "doubler").folder

    with pytest.raises(ForbiddenModelError, match="ALLOW_PICKLE=doubler"):
        load_pyfunc(folder, trust_policy(settings, "doubler"))

    allowed = trust_policy(settings.model_copy(update={"allow_pickle": "doubler"}), "doubler")
    assert load_pyfunc(folder, allowed).predict(ROWS).equals(ROWS * 2)


def test_a_change_somebody_edited_by_hand_does_not_hide_the_others(
    settings: VersioningSettings, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.register("edited", "s3://models/edited")
    change = RoleChange(datetime.now(UTC), "1", "promoted")
    registry.record_change("edited", change)
    open_client(settings).set_registered_model_tag("edited", "understudy.change.2026", "oops")

    assert registry.history("edited") == [change]
    assert "unreadable_role_change" in caplog.messages


def test_two_stores_in_one_process_do_not_mix(settings: VersioningSettings, registry: Registry, tmp_path: Path) -> None:
    other = VersioningSettings(data_dir=tmp_path / "other", mlflow_tracking_uri=None)
    other_registry = open_registry(other)
    log_ours(other, other_registry, "only-there")
    log_ours(settings, registry, "only-here")

    assert other_registry.models() == ["only-there"]
    assert "only-there" not in registry.models()


def test_a_file_that_is_no_database_is_unavailable_and_untouched(tmp_path: Path) -> None:
    junk = tmp_path / "mlflow.db"
    junk.write_bytes(b"junk" * 1000)

    with pytest.raises(RegistryUnavailableError, match="not a database"):
        open_registry(VersioningSettings(data_dir=tmp_path, mlflow_tracking_uri=None))

    assert junk.read_bytes() == b"junk" * 1000


def test_a_new_store_is_opened_in_silence_and_leaves_nothing_elsewhere(tmp_path: Path) -> None:
    program = (
        "import logging, os, pathlib\n"
        "logging.basicConfig(level=logging.INFO)\n"
        "from versioning.connect import open_registry, open_tracking\n"
        "from versioning.settings import VersioningSettings\n"
        "settings = VersioningSettings(data_dir=pathlib.Path('../var'), mlflow_tracking_uri=None)\n"
        "registry = open_registry(settings)\n"
        "with open_tracking(settings).start_run('e', 'r') as run:\n"
        "    run.log_file('profile.json', b'{}')\n"
        "registry.register('m', str(settings.artifact_root), run_id=run.run_id)\n"
        "assert 'MLFLOW_TRACKING_URI' not in os.environ\n"
    )
    here = tmp_path / "here"
    here.mkdir()

    done = subprocess.run([sys.executable, "-c", program], cwd=here, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(here.iterdir()) == []
    assert sorted(path.name for path in (tmp_path / "var").iterdir()) == ["mlartifacts", "mlflow.db"]


def test_reading_a_model_imports_no_mlflow(settings: VersioningSettings, registry: Registry, tmp_path: Path) -> None:
    folder = fetch_model(log_ours(settings, registry, "light"), settings, tmp_path / "light").folder
    program = (
        "import pathlib, sys\n"
        "from versioning.artifacts import fetch_model\n"
        "from versioning.trust import TrustPolicy, load_sklearn\n"
        f"load_sklearn(pathlib.Path({str(folder)!r}), TrustPolicy('light'))\n"
        "print([name for name in ('mlflow', 'boto3') if name in sys.modules])\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
