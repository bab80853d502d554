"""The zoo: what every model of it must stand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer

from modeling.datasets.catalog import load_dataset
from modeling.datasets.dataset import Dataset, Task
from modeling.errors import DataError, RequestError
from modeling.pipelines import MAX_CATEGORIES, ZOO, build_pipeline, string_columns


def _mixed(rows: int = 200) -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": random.normal(size=rows),
            "rooms": random.integers(1, 9, rows),
            "garden": random.random(rows) < 0.5,
            "city": random.choice(["Köln", "Rom", "Oslo"], rows),
        }
    )
    frame.loc[:9, "size"] = np.nan
    frame.loc[10:19, "city"] = None
    return frame


@pytest.mark.parametrize("model", ZOO)
@pytest.mark.parametrize("task", ["classifier", "regressor"])
def test_nulls_and_unseen_strings_are_answered(model: str, task: Task) -> None:
    x = _mixed()
    y = x["rooms"] + x["garden"] if task == "regressor" else (x["rooms"] > 4).astype(int)
    fitted = build_pipeline(model, x, task, seed=0).fit(x, y)
    unseen = x.assign(city="Zürich", size=np.nan)
    assert np.isfinite(fitted.predict(x).astype(float)).all()
    assert np.isfinite(fitted.predict(unseen).astype(float)).all()


@pytest.mark.parametrize("model", ZOO)
def test_a_null_string_is_answered_like_an_unseen_one(model: str) -> None:
    x = _mixed()
    fitted = build_pipeline(model, x, "classifier", seed=0).fit(x, (x["rooms"] > 4).astype(int))
    null, unseen = (fitted.predict_proba(x.assign(city=pd.Series([city] * 200, dtype="str"))) for city in (None, "?"))
    assert null.tolist() == unseen.tolist()


@pytest.mark.parametrize("model", ZOO)
def test_the_same_seed_gives_the_same_model(model: str) -> None:
    x = load_dataset("iris").x
    y = load_dataset("iris").y
    first, again = (build_pipeline(model, x, "classifier", seed=4).fit(x, y).predict_proba(x) for _ in range(2))
    assert first.tolist() == again.tolist()


@pytest.mark.parametrize("model", ZOO)
@pytest.mark.parametrize(("name", "least"), [("iris", 0.9), ("breast_cancer", 0.9), ("diabetes", 0.4)])
def test_every_model_learns_every_small_dataset(model: str, name: str, least: float) -> None:
    dataset = load_dataset(name)
    fitted = build_pipeline(model, dataset.x, dataset.task, seed=0).fit(dataset.x, dataset.y)
    assert fitted.score(dataset.x, dataset.y) > least


def test_numbers_alone_need_no_column_transformer() -> None:
    x = load_dataset("iris").x
    assert not any(
        isinstance(step, ColumnTransformer) for _, step in build_pipeline("logistic", x, "classifier", seed=0).steps
    )


def test_a_column_of_many_strings_keeps_the_frequent_ones() -> None:
    x = pd.DataFrame({"tail": [f"N{number:03d}" for number in range(300)] + ["N299"]})
    encoder = build_pipeline("logistic", x, "classifier", seed=0)["columns"].transformers[1][1]
    assert len(encoder.categories[0]) == MAX_CATEGORIES
    assert "N299" in encoder.categories[0]


def test_strings_alone_are_enough() -> None:
    x = pd.DataFrame({"city": ["a", "b"] * 20})
    for model in ZOO:
        fitted = build_pipeline(model, x, "classifier", seed=0).fit(x, [0, 1] * 20)
        assert fitted.score(x, [0, 1] * 20) == 1.0


def test_an_unknown_model_lists_the_zoo() -> None:
    with pytest.raises(RequestError, match="no model 'svm' in the zoo; there are logistic, forest, boosting"):
        build_pipeline("svm", _mixed(), "classifier", seed=0)


def test_a_time_column_is_refused_by_name() -> None:
    frame = pd.DataFrame({"at": pd.to_datetime(["2024-01-01"], utc=True)})
    with pytest.raises(DataError, match="column 'at' is datetime64"):
        string_columns(frame)


def test_flights_have_three_string_columns(flights: Dataset) -> None:
    assert string_columns(flights.x) == ["carrier", "origin", "dest"]
