"""The zoo: unfitted pipelines with their own preprocessing, made for the data they will see.

All of them answer rows with nulls: numbers are filled with the training median (boosting needs no
filling), and a null or unseen string is no category at all, the same as ONNX sees it. Everything is one
thread and seeded.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modeling.datasets.dataset import Task
from modeling.errors import DataError, RequestError

MAX_CATEGORIES = 256


def build_pipeline(model: str, features: pd.DataFrame, task: Task, *, seed: int) -> Pipeline:
    """An unfitted pipeline of the zoo.

    Args:
        model: `logistic` (linear for regression), `forest` or `boosting`.
        features: The training features: their columns and string values shape the preprocessing.
        task: `classifier` or `regressor`.
        seed: Of everything random in it.

    Raises:
        RequestError: No such model; the message lists those there are.
        DataError: A column is neither number, boolean nor string.
    """
    if model not in ZOO:
        raise RequestError(f"no model {model!r} in the zoo; there are {', '.join(ZOO)}")
    return ZOO[model](features, task, seed)


def string_columns(features: pd.DataFrame) -> list[str]:
    """Names of the columns that hold strings. Raises DataError for what no model of the zoo can take."""
    strings = []
    for name in features.columns:
        kind = features[name].dtype
        if isinstance(kind, pd.StringDtype) or kind == object:  # noqa: E721 -- a dtype compared with its class
            strings.append(str(name))
        elif not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind)):
            raise DataError(f"column {name!r} is {kind}: make it numbers, booleans or strings, or leave it out")
    return strings


def _linear(features: pd.DataFrame, task: Task, seed: int) -> Pipeline:
    steps = [("impute", _median()), ("scale", StandardScaler())]
    model = LogisticRegression(max_iter=1_000, random_state=seed) if task == "classifier" else Ridge(alpha=1.0)
    return _assemble(features, steps, model)


def _forest(features: pd.DataFrame, task: Task, seed: int) -> Pipeline:
    kind = RandomForestClassifier if task == "classifier" else RandomForestRegressor
    # Leaves of five rows and sixteen levels keep a forest on a month of flights at a few megabytes.
    model = kind(n_estimators=100, max_depth=16, min_samples_leaf=5, n_jobs=1, random_state=seed)
    return _assemble(features, [("impute", _median())], model)


def _boosting(features: pd.DataFrame, task: Task, seed: int) -> Pipeline:
    kind = HistGradientBoostingClassifier if task == "classifier" else HistGradientBoostingRegressor
    # On flights twice the leaves at twice the rate learn January by heart and lose to logistic regression in
    # February. Early stopping would set rows aside at random, across time.
    model = kind(max_iter=100, learning_rate=0.05, max_leaf_nodes=15, early_stopping=False, random_state=seed)
    return _assemble(features, [], model)


ZOO: MappingProxyType[str, Callable[[pd.DataFrame, Task, int], Pipeline]] = MappingProxyType(
    {"logistic": _linear, "forest": _forest, "boosting": _boosting}
)


def _median() -> SimpleImputer:
    return SimpleImputer(strategy="median", keep_empty_features=True)


def _assemble(features: pd.DataFrame, number_steps: list[tuple[str, Any]], model: Any) -> Pipeline:
    """Data without strings needs no ColumnTransformer: its compiled graph is one matrix all the way."""
    strings = string_columns(features)
    if not strings:
        return Pipeline([*number_steps, ("model", model)])
    numbers = [str(name) for name in features.columns if name not in strings]
    prepare = Pipeline(number_steps) if number_steps else "passthrough"
    columns = ColumnTransformer(
        [("numbers", prepare, numbers), ("strings", _one_hot(features[strings]), strings)],
        sparse_threshold=0.0,
    )
    return Pipeline([("columns", columns), ("model", model)])


def _one_hot(strings: pd.DataFrame) -> OneHotEncoder:
    """One column per frequent value; null is not one of them, because ONNX has no null string to compare with."""
    categories = [sorted(strings[name].value_counts().index[:MAX_CATEGORIES]) for name in strings.columns]
    return OneHotEncoder(categories=categories, handle_unknown="ignore", sparse_output=False)
