"""Training into a real MLflow store: what is registered can be fetched and loaded, and answers the same."""

from pathlib import Path

import pandas as pd
import pytest

from modeling.datasets.catalog import load_dataset
from modeling.fit import Recipe
from modeling.train import TrainedVersion, TrainRequest, train
from versioning.connect import open_registry, open_tracking
from versioning.profile import decode
from versioning.registry import Registry
from versioning.settings import VersioningSettings
from versioning.tracking import PROFILE_FILE, Tracking

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[VersioningSettings, Tracking, Registry]:
    settings = VersioningSettings(_env_file=None, data_dir=tmp_path_factory.mktemp("data"))
    return settings, open_tracking(settings), open_registry(settings)


def _train(store: tuple[VersioningSettings, Tracking, Registry], dataset: str, model: str) -> TrainedVersion:
    _, tracking, registry = store
    return train(TrainRequest(dataset, Recipe(model), as_role="production"), tracking, registry)


@pytest.mark.parametrize("model", ["logistic", "forest", "boosting"])
@pytest.mark.parametrize("dataset", ["iris", "diabetes"])
def test_a_registered_model_loads_and_answers_like_the_fitted_one(
    store: tuple[VersioningSettings, Tracking, Registry], dataset: str, model: str, tmp_path: Path
) -> None:
    from versioning.trust import load_sklearn, trust_policy  # noqa: PLC0415 -- loads scikit-learn's types

    settings, tracking, registry = store
    trained = _train(store, dataset, model)
    version = registry.version(dataset, registry.aliases(dataset)["production"])
    assert version.model_version == trained.version.model_version
    tracking.download(version.source, tmp_path, limit_bytes=10**8)
    loaded = load_sklearn(tmp_path, trust_policy(settings, model_name=dataset))
    x = load_dataset(dataset).x
    assert loaded.predict(x).tolist() == trained.fitted.pipeline.predict(x).tolist()


def test_the_run_holds_metrics_tags_and_the_profile(store: tuple[VersioningSettings, Tracking, Registry]) -> None:
    _, tracking, _ = store
    trained = _train(store, "breast_cancer", "logistic")
    assert trained.version.run_id is not None
    run = tracking.read_run(trained.version.run_id)
    assert run.metrics == pytest.approx(dict(trained.metrics))
    assert run.tags["understudy.model_kind"] == "logistic"
    assert run.ended_at is not None
    content = tracking.read_file(trained.version.run_id, PROFILE_FILE, limit_bytes=10**7)
    assert content is not None
    assert decode(content) == trained.fitted.profile


def test_strings_and_nulls_survive_the_registry(
    store: tuple[VersioningSettings, Tracking, Registry], tmp_path: Path
) -> None:
    settings, tracking, registry = store
    path = tmp_path / "churn.csv"
    rows = [(number if number % 7 else "", "ab"[number % 2], "yes" if number % 2 else "no") for number in range(80)]
    pd.DataFrame(rows, columns=["age", "plan", "churned"]).to_csv(path, index=False)
    trained = train(TrainRequest(str(path), Recipe("boosting"), target="churned"), tracking, registry)
    folder = tmp_path / "model"
    folder.mkdir()
    tracking.download(trained.version.source, folder, limit_bytes=10**8)
    from versioning.trust import load_sklearn, trust_policy  # noqa: PLC0415 -- loads scikit-learn's types

    loaded = load_sklearn(folder, trust_policy(settings, model_name="churn"))
    asked = pd.DataFrame({"age": [3.0, None], "plan": ["b", "a"]})
    assert loaded.predict(asked).tolist() == ["yes", "no"]
    assert '"required": false' in (folder / "MLmodel").read_text().replace("\n", " ")
