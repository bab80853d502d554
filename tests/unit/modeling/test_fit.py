"""What is known about a model before it is logged."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from modeling.datasets.catalog import load_dataset
from modeling.datasets.dataset import Dataset
from modeling.fit import Recipe, column_values, fit_model, signature_of, target_values
from modeling.importance import permutation_importance
from modeling.pipelines import build_pipeline
from modeling.split import Months, Split, split
from versioning.mlmodel import ColumnSpec
from versioning.profile import decode, encode, sample_rows


def _mixed(rows: int = 200) -> Dataset:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": random.normal(size=rows),
            "noise": random.normal(size=rows).astype("float32"),
            "rooms": random.integers(1, 9, rows),
            "floor": random.integers(0, 70, rows).astype("int32"),
            "garden": random.random(rows) < 0.5,
            "city": random.choice(["Köln", "Rom"], rows),
            "sold": random.choice(["no", "yes"], rows),
        }
    )
    frame.loc[frame.index[-1], "size"] = np.nan
    frame.loc[3, "city"] = None
    features = tuple(frame.columns.drop("sold"))
    return Dataset("houses", "made up", frame, "sold", "classifier", features)


def _parts(name: str) -> Split:
    return split(load_dataset(name), Months(), seed=0)


def test_the_signature_has_mlflows_types_and_allows_null_where_one_occurred() -> None:
    assert signature_of(split(_mixed(), Months(), seed=0)) == (
        ColumnSpec("size", "double", required=False),
        ColumnSpec("noise", "float"),
        ColumnSpec("rooms", "long"),
        ColumnSpec("floor", "integer"),
        ColumnSpec("garden", "boolean"),
        ColumnSpec("city", "string", required=False),
    )


@pytest.mark.parametrize("model", ["logistic", "forest", "boosting"])
def test_a_classifier_with_string_classes_is_judged_and_profiled(model: str) -> None:
    fitted = fit_model(split(_mixed(), Months(), seed=0), Recipe(model))
    for prefix in ("training", "validation", "evaluation"):
        for metric in ("accuracy", "f1", "log_loss", "roc_auc"):
            low, value, high = (fitted.metrics[f"{prefix}_{metric}{bound}"] for bound in ("_low", "", "_high"))
            assert low <= value <= high
    assert fitted.pipeline.classes_.tolist() == ["no", "yes"]
    assert fitted.profile.classes == ["no", "yes"]
    assert decode(encode(fitted.profile)) == fitted.profile
    assert not fitted.example.isna().to_numpy().any()


def test_a_regressor_is_judged_and_profiled() -> None:
    fitted = fit_model(_parts("diabetes"), Recipe("logistic"))
    assert {name for name in fitted.metrics if not name.endswith(("_low", "_high"))} == {
        f"{prefix}_{metric}" for prefix in ("training", "validation", "evaluation") for metric in ("mae", "rmse")
    }
    first, median, third = fitted.profile.prediction_quartiles
    assert 50 < first < median < third < 350
    assert fitted.profile.score is None


def test_the_profile_is_of_the_training_features_and_the_held_out_answers() -> None:
    parts = _parts("iris")
    profile = fit_model(parts, Recipe("logistic")).profile
    assert [column.name for column in profile.features] == list(parts.train.features)
    assert {column.rows for column in profile.features} == {len(parts.train)}
    assert profile.prediction.rows == len(parts.val)
    assert sum(column.importance or 0.0 for column in profile.features) == pytest.approx(1.0)


def test_sampled_profile_rows_can_be_answered() -> None:
    fitted = fit_model(split(_mixed(), Months(), seed=0), Recipe("forest"))
    rows = pd.DataFrame(sample_rows(fitted.profile, 50, seed=1))
    assert len(fitted.pipeline.predict(rows)) == 50


def test_the_same_recipe_gives_the_same_model_and_profile() -> None:
    parts = _parts("breast_cancer")
    first, again = (fit_model(parts, Recipe("boosting", seed=2)) for _ in range(2))
    assert first.metrics == again.metrics
    assert encode(first.profile) == encode(again.profile)


def test_kinds_can_be_overruled() -> None:
    profile = fit_model(split(_mixed(), Months(), seed=0), Recipe("logistic", kinds={"rooms": "number"})).profile
    assert {column.name: column.kind for column in profile.features}["rooms"] == "number"


def test_importance_finds_the_column_that_decides() -> None:
    parts = split(_mixed(600), Months(), seed=0)
    truth = np.where(parts.train.x["size"] > 0, "yes", "no")
    model = build_pipeline("logistic", parts.train.x, "classifier", seed=0).fit(parts.train.x, truth)
    found = permutation_importance(model, parts.train.x, truth, seed=0)
    assert max(found, key=lambda name: found[name]) == "size"
    assert found["size"] > 10 * max(value for name, value in found.items() if name != "size")


def test_importance_leaves_out_classes_the_model_never_saw() -> None:
    iris = load_dataset("iris")
    known = iris.frame[iris.y < 2]
    model = build_pipeline("logistic", iris.x, "classifier", seed=0).fit(known[list(iris.features)], known["target"])
    assert np.isfinite(list(permutation_importance(model, iris.x, iris.y.to_numpy(), seed=0).values())).all()


def test_progress_only_goes_forward() -> None:
    told: list[float] = []
    fit_model(_parts("iris"), Recipe("logistic"), lambda fraction, _text: told.append(fraction))
    assert all(early <= late for early, late in pairwise(told))
    assert told[0] == 0.0


def test_targets_and_columns_become_plain_numpy() -> None:
    assert target_values(_mixed()).dtype.kind == "U"
    assert column_values(_mixed().frame["city"])[3] is None
    assert column_values(_mixed().frame["rooms"]).dtype == np.int64
