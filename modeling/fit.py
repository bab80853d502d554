"""From three parts of a dataset to a fitted model with its figures, signature and profile. No I/O, one thread."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from modeling.datasets.dataset import Dataset
from modeling.evaluate import evaluate, metric_values
from modeling.importance import permutation_importance
from modeling.pipelines import build_pipeline
from modeling.split import Split
from versioning.mlmodel import ColumnSpec
from versioning.profile import ColumnHints, Profile, ReferenceAnswers, build_profile
from versioning.profile_values import Kind

Progress = Callable[[float, str], None]
"""Told how far the work is (0 to 1) and what is being done now."""

_EXAMPLE_ROWS = 5


@dataclass(frozen=True)
class Recipe:
    """What to make.

    Attributes:
        model: Name in the zoo: `logistic`, `forest` or `boosting`.
        seed: Of everything random.
        kinds: Column kinds of the profile that the owner knows better.
    """

    model: str
    seed: int = 0
    kinds: Mapping[str, Kind] = field(default_factory=dict)


@dataclass(frozen=True)
class FittedModel:
    """A model and everything that is known about it before it is logged.

    Attributes:
        pipeline: Fitted on the training part.
        metrics: `training_…`, `validation_…` and `evaluation_…` (the test part), each with `_low` and `_high`.
        columns: The input signature.
        example: A few training rows without nulls where there are such.
        profile: Features of the training part, answers to the validation part.
    """

    pipeline: Pipeline
    metrics: dict[str, float]
    columns: tuple[ColumnSpec, ...]
    example: pd.DataFrame
    profile: Profile


def fit_model(parts: Split, recipe: Recipe, progress: Progress = lambda _fraction, _text: None) -> FittedModel:
    """Fits on the training part, judges on all three, and profiles.

    Raises:
        RequestError: No such model in the zoo.
        DataError: A column no model of the zoo can take.
    """
    with threadpool_limits(limits=1):
        progress(0.0, f"Fitting {recipe.model} on {len(parts.train):,} rows of {parts.train.name}")
        pipeline = build_pipeline(recipe.model, parts.train.x, parts.train.task, seed=recipe.seed)
        pipeline.fit(parts.train.x, target_values(parts.train))
        progress(0.6, f"Judging {recipe.model}")
        metrics: dict[str, float] = {}
        held_out = answers_of(pipeline, parts.val)
        for prefix, answers in (
            ("training", answers_of(pipeline, parts.train)),
            ("validation", held_out),
            ("evaluation", answers_of(pipeline, parts.test)),
        ):
            metrics |= metric_values(prefix, evaluate(answers, seed=recipe.seed))
        progress(0.8, f"Profiling {recipe.model}")
        profile = _profile(pipeline, parts, held_out, recipe)
    finite = {name: value for name, value in metrics.items() if np.isfinite(value)}
    return FittedModel(pipeline, finite, signature_of(parts), _example(parts.train.x), profile)


def answers_of(pipeline: Pipeline, part: Dataset) -> ReferenceAnswers:
    """What the model answers to one part."""
    predictions, truths = pipeline.predict(part.x), target_values(part)
    if part.task == "regressor":
        return ReferenceAnswers("regressor", predictions, truths)
    probabilities = pipeline.predict_proba(part.x) if hasattr(pipeline, "predict_proba") else None
    return ReferenceAnswers("classifier", predictions, truths, pipeline.classes_.tolist(), probabilities)


def target_values(part: Dataset) -> NDArray[Any]:
    """The target as the model learns it: numbers, booleans or plain strings."""
    values = part.y.to_numpy()
    return values if values.dtype.kind in "biuf" else np.asarray([str(value) for value in values])


def signature_of(parts: Split) -> tuple[ColumnSpec, ...]:
    """The input columns in MLflow's types; a column is required unless it has a null in some part."""
    nulls = {name: any(bool(part.frame[name].isna().any()) for part in parts) for name in parts.train.features}
    return tuple(
        ColumnSpec(name, _column_type(parts.train.frame[name]), required=not nulls[name])
        for name in parts.train.features
    )


def _column_type(column: pd.Series) -> str:
    kind = column.dtype
    if not isinstance(kind, np.dtype) or kind.kind not in "biuf":
        return "string"
    small = kind.itemsize <= 4
    return {"b": "boolean", "f": "float" if small else "double"}.get(kind.kind, "integer" if small else "long")


def _example(x: pd.DataFrame) -> pd.DataFrame:
    full = x.dropna()
    return (full if len(full) else x).head(_EXAMPLE_ROWS).reset_index(drop=True)


def _profile(pipeline: Pipeline, parts: Split, held_out: ReferenceAnswers, recipe: Recipe) -> Profile:
    train = parts.train
    hints = ColumnHints(
        kinds=recipe.kinds,
        importance=permutation_importance(pipeline, parts.val.x, held_out.truths, seed=recipe.seed),
        event_times=None
        if train.event_time is None
        else (train.times.iloc[0].to_pydatetime(), train.times.iloc[-1].to_pydatetime()),
    )
    columns = {name: column_values(train.frame[name]) for name in train.features}
    return build_profile(columns, held_out, hints)


def column_values(column: pd.Series) -> NDArray[Any]:
    """As numpy: numbers as they are, everything else as Python objects with None for null."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return column.to_numpy()
    return column.astype(object).where(column.notna(), None).to_numpy()
