"""The reference profile: what a model's training data and answers looked like, as counts in frozen bins.

A run file (`profile.json`), made at training and never changed. Everything that later compares traffic
with training folds its values into the same bins (`versioning.profile_columns`). It holds counts, not
rows: `sample_rows` draws synthetic ones. Pure numpy: no clock, no model; deterministic.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from versioning.errors import ArtifactError
from versioning.profile_columns import ColumnProfile, profile_column
from versioning.profile_rows import sample_column
from versioning.profile_values import Kind, Values, category_text

FORMAT_VERSION = 1
CALIBRATION_BINS = 20


class CalibrationBin(msgspec.Struct, frozen=True):
    """Rows whose score fell into [low, high); the last bin includes 1.

    Attributes:
        low: Lower end.
        high: Upper end.
        rows: How many.
        score_sum: Sum of their scores.
        hits: Of binary models: those of the last class; otherwise those the model got right.
    """

    low: float
    high: float
    rows: int
    score_sum: float
    hits: int


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """`profile.json`.

    Attributes:
        format_version: Of this structure.
        task: `classifier` or `regressor`.
        classes: Labels as text, in the order of the probabilities; empty for regressors.
        schema_hash: SHA-256 of the features' names and types, in order: equal only if the schema is.
        features: The input columns in the model's order, over the training rows.
        prediction: The answers on rows the model was not trained on: a category, or a number.
        score: Of classifiers: probability of the last class (binary) or of the winning class, on those rows.
        calibration: Of classifiers: score against truth, on those rows.
        prediction_quartiles: Of regressors: the 25, 50 and 75 % quantiles of the answers on those rows.
        first_event_time: Of the rows behind `features`, UTC; None for data without time.
        last_event_time: As above.
    """

    format_version: int = FORMAT_VERSION
    task: Literal["classifier", "regressor"]
    classes: list[str] = []
    schema_hash: str
    features: list[ColumnProfile]
    prediction: ColumnProfile
    score: ColumnProfile | None = None
    calibration: list[CalibrationBin] = []
    prediction_quartiles: list[float] = []
    first_event_time: datetime | None = None
    last_event_time: datetime | None = None


@dataclass(frozen=True)
class ReferenceAnswers:
    """What the model answered to rows it was not trained on, in event-time order where there is one.

    Attributes:
        task: `classifier` or `regressor`.
        predictions: One per row.
        truths: The true targets of the same rows.
        classes: Labels in the order of the probabilities; empty for regressors.
        probabilities: Shape (rows, classes); None for regressors and models without.
    """

    task: Literal["classifier", "regressor"]
    predictions: NDArray[Any]
    truths: NDArray[Any]
    classes: Sequence[Any] = ()
    probabilities: NDArray[np.float64] | None = None

    @property
    def scores(self) -> NDArray[np.float64] | None:
        """Probability of the last class (two classes) or of the winning one."""
        if self.probabilities is None:
            return None
        return self.probabilities[:, -1] if len(self.classes) == 2 else self.probabilities.max(axis=1)

    @property
    def hits(self) -> NDArray[np.bool_]:
        """What a score is the probability of: being of the last class (two classes), or being right."""
        return np.asarray(self.truths == (self.classes[-1] if len(self.classes) == 2 else self.predictions), dtype=bool)


@dataclass(frozen=True)
class ColumnHints:
    """What the owner of the data knows better than a guess.

    Attributes:
        kinds: Feature to kind, overriding `guess_kind`.
        importance: Feature to a non-negative weight; scaled to add up to 1.
        event_times: First and last event time of the feature rows, which then stand in its order; None for
            data without time.
    """

    kinds: Mapping[str, Kind] = field(default_factory=dict)
    importance: Mapping[str, float] = field(default_factory=dict)
    event_times: tuple[datetime, datetime] | None = None


def build_profile(
    columns: Mapping[str, Values], answers: ReferenceAnswers, hints: ColumnHints | None = None
) -> Profile:
    """Profiles training rows (by column, in the model's order) and the answers to rows held out.

    Raises:
        ValueError: A hint names a column that is not there.
    """
    hints = hints or ColumnHints()
    if strangers := sorted({*hints.kinds, *hints.importance} - set(columns)):
        raise ValueError(
            f"no column {', '.join(strangers)} to give a kind or importance; there are {', '.join(columns)}"
        )
    ordered = hints.event_times is not None
    shares = _shares(hints.importance)
    features = [
        profile_column(name, values, kind=hints.kinds.get(name), ordered=ordered, importance=shares.get(name))
        for name, values in columns.items()
    ]
    classifier = answers.task == "classifier"
    scores = answers.scores if classifier else None
    first, last = hints.event_times or (None, None)
    return Profile(
        task=answers.task,
        classes=[str(category_text(_plain(label))) for label in answers.classes],
        schema_hash=schema_hash(features),
        features=features,
        prediction=profile_column(
            "prediction", answers.predictions, kind="category" if classifier else "number", ordered=ordered
        ),
        score=None if scores is None else profile_column("score", scores, kind="number", ordered=ordered),
        calibration=[] if scores is None else _calibration(scores, answers.hits),
        prediction_quartiles=[] if classifier else np.quantile(answers.predictions, [0.25, 0.5, 0.75]).tolist(),
        first_event_time=first,
        last_event_time=last,
    )


def sample_rows(profile: Profile, rows: int, *, seed: int) -> list[dict[str, Any]]:
    """Draws synthetic rows, every column by itself from its counts; missing values are None.

    The same profile, number and seed give the same rows.
    """
    random = np.random.default_rng(seed)
    drawn = {column.name: sample_column(column, rows, random) for column in profile.features}
    return [dict(zip(drawn, values, strict=True)) for values in zip(*drawn.values(), strict=True)]


def encode(profile: Profile) -> bytes:
    """As `profile.json`; the same profile gives the same bytes."""
    return msgspec.json.encode(profile)


def decode(content: bytes) -> Profile:
    """Reads `profile.json`.

    Raises:
        ArtifactError: Not a profile, or one of a newer format than this code knows.
    """
    try:
        profile = msgspec.json.decode(content, type=Profile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(f"profile.json is not a reference profile: {error}") from error
    if profile.format_version > FORMAT_VERSION:
        raise ArtifactError(
            f"profile.json has format {profile.format_version}, newer than {FORMAT_VERSION}: upgrade Understudy"
        )
    return profile


def schema_hash(features: Sequence[ColumnProfile]) -> str:
    """SHA-256 of names and types in order, in hexadecimal."""
    return hashlib.sha256(msgspec.json.encode([[column.name, column.dtype] for column in features])).hexdigest()


def _shares(importance: Mapping[str, float]) -> dict[str, float]:
    weights = {name: max(float(weight), 0.0) for name, weight in importance.items()}
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()} if total > 0 else {}


def _calibration(scores: NDArray[np.float64], hits: NDArray[np.bool_]) -> list[CalibrationBin]:
    bins = np.minimum((scores * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    rows = np.bincount(bins, minlength=CALIBRATION_BINS)
    sums = np.bincount(bins, weights=scores, minlength=CALIBRATION_BINS)
    right = np.bincount(bins, weights=hits, minlength=CALIBRATION_BINS)
    return [
        CalibrationBin(
            low=step / CALIBRATION_BINS,
            high=(step + 1) / CALIBRATION_BINS,
            rows=int(rows[step]),
            score_sum=float(sums[step]),
            hits=int(right[step]),
        )
        for step in range(CALIBRATION_BINS)
    ]


def _plain(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label
