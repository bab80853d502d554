"""Fit, judge, log, register: from a request to a version in the registry."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modeling.datasets.catalog import load_dataset
from modeling.datasets.dataset import Dataset
from modeling.errors import RequestError
from modeling.fit import FittedModel, Progress, Recipe, fit_model
from modeling.pipelines import ZOO
from modeling.split import Months, Split, split
from versioning.profile import encode
from versioning.registry import ModelVersion, Registry
from versioning.tracking import (
    DATASET_TAG,
    MODEL_KIND_TAG,
    PROFILE_FILE,
    TARGET_TAG,
    TASK_TAG,
    TRAINED_FROM_TAG,
    TRAINED_UNTIL_TAG,
    Tracking,
)

EXPERIMENT = "understudy"
_LONGEST_PARAM = 250


@dataclass(frozen=True)
class TrainRequest:
    """What to train.

    Attributes:
        dataset: A dataset's name, or the path of a CSV or Parquet file.
        recipe: Which model, with which seed.
        months: For data with time; none at all: the dataset's own choice.
        target: Column to predict; needed for files.
        event_time: Column of the time, for files that have one.
        model_name: To register under; None: the dataset's name.
        as_role: Alias to give the new version; None leaves it a candidate.
        tags: More tags for the version.
    """

    dataset: str
    recipe: Recipe
    months: Months = field(default_factory=Months)
    target: str | None = None
    event_time: str | None = None
    model_name: str | None = None
    as_role: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainedVersion:
    """What came of it.

    Attributes:
        version: As registered.
        fitted: The model with its figures and profile.
        role: The alias given, if any.
    """

    version: ModelVersion
    fitted: FittedModel
    role: str | None

    @property
    def metrics(self) -> Mapping[str, float]:
        """As logged, e.g. `evaluation_accuracy` with `_low` and `_high`."""
        return self.fitted.metrics


def train(
    request: TrainRequest,
    tracking: Tracking,
    registry: Registry,
    progress: Progress = lambda _fraction, _text: None,
) -> TrainedVersion:
    """Trains one model, logs it in a run and registers it.

    The same request gives the same model. Blocks for seconds to minutes; an interrupted call leaves a failed
    run behind and no version.

    Raises:
        RequestError: An unknown dataset, model, target or month; the message lists the choices.
        DataError: The data does not allow it.
        RegistryUnavailableError: The registry or the runs cannot be reached.
    """
    _require_model(request.recipe.model)
    progress(0.0, f"Reading {request.dataset}")
    dataset = load_dataset(request.dataset, target=request.target, event_time=request.event_time)
    return train_on(dataset, request, tracking, registry, progress=progress)


def train_on(
    dataset: Dataset,
    request: TrainRequest,
    tracking: Tracking,
    registry: Registry,
    *,
    progress: Progress = lambda _fraction, _text: None,
) -> TrainedVersion:
    """As `train`, with the dataset already loaded."""
    parts = split(dataset, request.months, seed=request.recipe.seed)
    fitted = fit_model(parts, request.recipe, lambda share, text: progress(0.1 + 0.7 * share, text))
    name = request.model_name or dataset.name
    tags = _tags(parts, request.recipe)
    progress(0.8, f"Logging {request.recipe.model}")
    with tracking.start_run(EXPERIMENT, f"{name} {request.recipe.model}", tags=tags) as run:
        run.log_params(_params(parts, request.recipe, fitted))
        run.log_metrics(fitted.metrics)
        run.log_file(PROFILE_FILE, encode(fitted.profile))
        address = run.log_model(fitted.pipeline, columns=fitted.columns, example=fitted.example)
        run_id = run.run_id
    version = registry.register(name, address, run_id=run_id, tags={**tags, **request.tags})
    if request.as_role is not None:
        registry.set_alias(name, request.as_role, version.model_version)
    progress(1.0, f"Registered {name} version {version.model_version}")
    return TrainedVersion(version, fitted, request.as_role)


def _require_model(model: str) -> None:
    """Before the data is read: that takes longer than to say so."""
    if model not in ZOO:
        raise RequestError(f"no model {model!r} in the zoo; there are {', '.join(ZOO)}")


def _tags(parts: Split, recipe: Recipe) -> dict[str, str]:
    tags = {
        DATASET_TAG: parts.train.name,
        TARGET_TAG: parts.train.target,
        TASK_TAG: parts.train.task,
        MODEL_KIND_TAG: recipe.model,
    }
    if parts.window is not None:
        first, last = parts.window
        tags |= {TRAINED_FROM_TAG: first.isoformat(), TRAINED_UNTIL_TAG: last.isoformat()}
    return tags


def _params(parts: Split, recipe: Recipe, fitted: FittedModel) -> dict[str, str | int | float | bool | None]:
    params: dict[str, str | int | float | bool | None] = {
        "dataset": parts.train.name,
        "target": parts.train.target,
        "model": recipe.model,
        "seed": recipe.seed,
    }
    for name, part in (("train", parts.train), ("val", parts.val), ("test", parts.test)):
        params[f"{name}_rows"] = len(part)
        if part.event_time is not None:
            params[f"{name}_first"] = part.times.min().isoformat()
            params[f"{name}_last"] = part.times.max().isoformat()
    for name, value in fitted.pipeline["model"].get_params(deep=False).items():
        if value not in (None, "deprecated"):
            params[f"model.{name}"] = str(value)[:_LONGEST_PARAM]
    return params
