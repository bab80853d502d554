"""What every Tracking promises."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression

from versioning.errors import ArtifactError, ConflictError, ForbiddenModelError, NotFoundError
from versioning.mlmodel import ColumnSpec, InputExample, read_mlmodel
from versioning.tracking import DATASET_TAG, PROFILE_FILE, Tracking
from versioning.trust import TrustPolicy, load_sklearn

COLUMNS = (ColumnSpec("length", "double", required=False), ColumnSpec("count", "long"))
ROWS = pd.DataFrame({"length": np.arange(40) / 8, "count": np.arange(40) % 5})
LABELS = (ROWS["count"] > 2).map({True: "many", False: "few"})


class HomeMade(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn ships no types
    """A type nobody trusts."""

    def fit(self, rows: Any, labels: Any) -> "HomeMade":
        self.classes_ = np.unique(labels)
        return self


def test_a_run_says_what_was_logged(tracking: Tracking) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    with tracking.start_run("contract", "a run", tags={DATASET_TAG: "iris"}) as run:
        run.log_params({"seed": 7, "depth": None, "rate": 0.5})
        run.log_metrics({"evaluation_accuracy": 0.25})
        run.log_metrics({"evaluation_accuracy": 0.75, "training_accuracy": 1})
        run.set_tags({"colour": "red"})
        run.set_tags({"colour": "blue"})

    record = tracking.read_run(run.run_id)

    assert (record.experiment, record.name) == ("contract", "a run")
    assert dict(record.params) == {"seed": "7", "depth": "None", "rate": "0.5"}
    assert dict(record.metrics) == {"evaluation_accuracy": 0.75, "training_accuracy": 1}
    assert dict(record.tags) == {DATASET_TAG: "iris", "colour": "blue"}
    assert record.ended_at is not None
    assert before <= record.started_at <= record.ended_at


def test_a_parameter_cannot_change(tracking: Tracking) -> None:
    with tracking.start_run("contract", "params") as run:
        run.log_params({"seed": 7})
        run.log_params({"seed": 7})
        with pytest.raises(ConflictError, match="seed"):
            run.log_params({"seed": 8})

    assert tracking.read_run(run.run_id).params["seed"] == "7"


def test_an_exception_ends_the_run_and_goes_on(tracking: Tracking) -> None:
    with pytest.raises(KeyError), tracking.start_run("contract", "fails") as run:
        raise KeyError

    assert tracking.read_run(run.run_id).ended_at is not None


def test_files_come_back_as_they_were(tracking: Tracking) -> None:
    with tracking.start_run("contract", "files") as run:
        run.log_file(PROFILE_FILE, b"first")
        run.log_file(PROFILE_FILE, b"\x00second\xff")
        run.log_file("plots/one.svg", b"<svg/>")

    assert tracking.read_file(run.run_id, PROFILE_FILE, limit_bytes=8) == b"\x00second\xff"
    assert tracking.read_file(run.run_id, "plots/one.svg", limit_bytes=100) == b"<svg/>"
    assert tracking.read_file(run.run_id, "plots", limit_bytes=100) is None
    assert tracking.read_file(run.run_id, "other.json", limit_bytes=100) is None


def test_a_file_over_the_limit_is_refused(tracking: Tracking) -> None:
    with tracking.start_run("contract", "large") as run:
        run.log_file(PROFILE_FILE, b"x" * 101)

    with pytest.raises(ArtifactError, match="101"):
        tracking.read_file(run.run_id, PROFILE_FILE, limit_bytes=100)


def test_a_run_that_is_not_there_is_named(tracking: Tracking) -> None:
    with pytest.raises(NotFoundError, match="0123456789abcdef"):
        tracking.read_run("0123456789abcdef0123456789abcdef")
    with pytest.raises(NotFoundError, match="0123456789abcdef"):
        tracking.read_file("0123456789abcdef0123456789abcdef", PROFILE_FILE, limit_bytes=1)


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        RandomForestClassifier(n_estimators=3, random_state=0),
        HistGradientBoostingClassifier(max_iter=3),
        RandomForestRegressor(n_estimators=3, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_logged_model_is_downloaded_and_answers_alike(tracking: Tracking, tmp_path: Path, estimator: Any) -> None:
    target = ROWS["length"] if "Regressor" in type(estimator).__name__ else LABELS
    estimator.fit(ROWS, target)
    with tracking.start_run("contract", "model") as run:
        address = run.log_model(estimator, columns=COLUMNS, example=ROWS.head(2))

    tracking.download(address, tmp_path, limit_bytes=10**7)

    loaded = load_sklearn(tmp_path, TrustPolicy("any"))
    assert list(loaded.predict(ROWS)) == list(estimator.predict(ROWS))


def test_a_logged_model_describes_itself(tracking: Tracking, tmp_path: Path) -> None:
    with tracking.start_run("contract", "model") as run:
        address = run.log_model(LogisticRegression().fit(ROWS, LABELS), columns=COLUMNS, example=ROWS.head(2))

    tracking.download(address, tmp_path, limit_bytes=10**7)

    model = read_mlmodel(tmp_path)
    assert model.loader == "skops"
    assert model.signature is not None
    assert model.signature.columns == COLUMNS
    assert model.example == InputExample(("length", "count"), ((0.0, 0), (0.125, 1)))
    assert "scikit-learn" in model.versions


def test_a_model_of_untrusted_types_is_refused_before_it_is_kept(tracking: Tracking) -> None:
    estimator = HomeMade().fit(ROWS, LABELS)

    with (
        pytest.raises(ForbiddenModelError, match=r"HomeMade.*TRUSTED_TYPES"),
        tracking.start_run("contract", "m") as run,
    ):
        run.log_model(estimator, columns=COLUMNS, example=ROWS.head(2))


def test_a_model_over_the_limit_is_not_downloaded(tracking: Tracking, tmp_path: Path) -> None:
    with tracking.start_run("contract", "model") as run:
        address = run.log_model(LogisticRegression().fit(ROWS, LABELS), columns=COLUMNS, example=ROWS.head(2))

    with pytest.raises(ArtifactError, match="100"):
        tracking.download(address, tmp_path, limit_bytes=100)

    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_not_there_is_named(tracking: Tracking, tmp_path: Path) -> None:
    address = "models:/m-0123456789abcdef"

    with pytest.raises(NotFoundError, match=address):
        tracking.resolve(address)
    with pytest.raises(NotFoundError, match=address):
        tracking.download(address, tmp_path, limit_bytes=1)
