"""How good the answers are, with 95 % intervals. Pure and deterministic.

accuracy   Wilson score interval (Wilson, 1927)
f1         of the last class (two classes) or the mean over classes; 2,000 multinomial resamples of the
           confusion matrix (parametric bootstrap, percentiles)
log_loss   mean of the rows' losses, normal interval
roc_auc    of the last class, or the mean of one class against the rest; interval from the influence of
           each row (DeLong et al., 1988; the mean over classes keeps their covariance)
mae        mean of the rows' absolute errors, normal interval
rmse       square root of the normal interval of the mean squared error
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from versioning.profile import ReferenceAnswers

_Z = 1.959963984540054
_SMALLEST_PROBABILITY = 1e-15
_RESAMPLES = 2_000


@dataclass(frozen=True)
class Estimate:
    """A metric and its 95 % interval."""

    value: float
    low: float
    high: float


def evaluate(answers: ReferenceAnswers, *, seed: int = 0) -> dict[str, Estimate]:
    """Metrics of a model's answers against the truth.

    A metric that the rows do not define is left out: log-loss and ROC-AUC without probabilities or for a
    class the model never saw, ROC-AUC where a class is missing among the rows.
    """
    if answers.task == "regressor":
        return _regression(answers.truths.astype(np.float64), answers.predictions.astype(np.float64))
    right = answers.predictions == answers.truths
    found = {"accuracy": _wilson(int(right.sum()), len(right)), "f1": _f1(answers, seed)}
    if answers.probabilities is not None and np.isin(answers.truths, np.asarray(answers.classes)).all():
        found["log_loss"] = _log_loss(answers, answers.probabilities)
        found |= _roc_auc(answers, answers.probabilities)
    return found


def metric_values(prefix: str, estimates: Mapping[str, Estimate]) -> dict[str, float]:
    """As a run logs them: `evaluation_accuracy`, `evaluation_accuracy_low`, `evaluation_accuracy_high` and so on.

    >>> metric_values("evaluation", {"mae": Estimate(2.0, 1.5, 2.5)})
    {'evaluation_mae': 2.0, 'evaluation_mae_low': 1.5, 'evaluation_mae_high': 2.5}
    """
    return {
        f"{prefix}_{name}{suffix}": number
        for name, estimate in estimates.items()
        for suffix, number in (("", estimate.value), ("_low", estimate.low), ("_high", estimate.high))
    }


def _wilson(hits: int, rows: int) -> Estimate:
    share = hits / rows
    scale = 1 + _Z**2 / rows
    middle = (share + _Z**2 / (2 * rows)) / scale
    half = _Z / scale * math.sqrt(share * (1 - share) / rows + _Z**2 / (4 * rows**2))
    return Estimate(share, max(middle - half, 0.0), min(middle + half, 1.0))


def _f1(answers: ReferenceAnswers, seed: int) -> Estimate:
    labels = list(answers.classes)
    labels += sorted(set(answers.truths.tolist()) - set(labels))
    table = confusion_matrix(answers.truths, answers.predictions, labels=labels)
    random = np.random.default_rng(seed)
    drawn = random.multinomial(table.sum(), table.ravel() / table.sum(), size=_RESAMPLES)
    resampled = _f1_of(drawn.reshape(-1, *table.shape), binary=len(labels) == 2)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Estimate(float(_f1_of(table[None], binary=len(labels) == 2)[0]), float(low), float(high))


def _f1_of(tables: NDArray[np.int64], *, binary: bool) -> NDArray[np.float64]:
    """F1 per table (truth by prediction); a class that neither occurs nor is answered counts 0."""
    both = np.diagonal(tables, axis1=1, axis2=2)
    either = tables.sum(axis=1) + tables.sum(axis=2)
    per_class = 2 * both / np.maximum(either, 1)
    result: NDArray[np.float64] = per_class[:, -1] if binary else per_class.mean(axis=1)
    return result


def _log_loss(answers: ReferenceAnswers, probabilities: NDArray[np.float64]) -> Estimate:
    position = {label: place for place, label in enumerate(answers.classes)}
    places = [position[label] for label in answers.truths.tolist()]
    chosen = probabilities[np.arange(len(places)), places]
    return _mean(-np.log(np.maximum(chosen, _SMALLEST_PROBABILITY)))


def _roc_auc(answers: ReferenceAnswers, probabilities: NDArray[np.float64]) -> dict[str, Estimate]:
    classes = list(answers.classes)
    chosen = [len(classes) - 1] if len(classes) == 2 else range(len(classes))
    truths = {place: answers.truths == classes[place] for place in chosen}
    if not all(0 < truth.sum() < len(truth) for truth in truths.values()):
        return {}
    parts = [_auc_influence(truth, probabilities[:, place]) for place, truth in truths.items()]
    area = float(np.mean([part[0] for part in parts]))
    influence = np.mean([part[1] for part in parts], axis=0)
    half = _Z * float(np.sqrt(np.mean(influence**2) / len(influence)))
    return {"roc_auc": Estimate(area, max(area - half, 0.0), min(area + half, 1.0))}


def _auc_influence(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The area, and what each row does to it: its share of the other class ranked on the right side of it."""
    positive, negative = np.sort(scores[truth]), np.sort(scores[~truth])
    placement = np.where(truth, _share_below(negative, scores), 1 - _share_below(positive, scores))
    area = float(placement[truth].mean())
    weight = np.where(truth, truth.mean(), 1 - truth.mean())
    return area, (placement - area) / weight


def _share_below(ascending: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of `ascending` below each score, ties counting half."""
    left, right = np.searchsorted(ascending, scores, "left"), np.searchsorted(ascending, scores, "right")
    result: NDArray[np.float64] = (left + right) / (2 * len(ascending))
    return result


def _regression(truths: NDArray[np.float64], predictions: NDArray[np.float64]) -> dict[str, Estimate]:
    errors = predictions - truths
    squared = _mean(errors**2)
    root = Estimate(math.sqrt(squared.value), math.sqrt(max(squared.low, 0.0)), math.sqrt(squared.high))
    return {"mae": _mean(np.abs(errors)), "rmse": root}


def _mean(per_row: NDArray[Any]) -> Estimate:
    middle = float(per_row.mean())
    half = _Z * float(per_row.std(ddof=1)) / math.sqrt(len(per_row)) if len(per_row) > 1 else math.inf
    return Estimate(middle, middle - half, middle + half)
