"""Metrics against scikit-learn's, and intervals against what they promise."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics

from modeling.evaluate import Estimate, evaluate, metric_values
from versioning.profile import ReferenceAnswers


def _classifier(rows: int, classes: list[Any], seed: int) -> ReferenceAnswers:
    random = np.random.default_rng(seed)
    raw = random.random((rows, len(classes))) ** 2
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    drawn = (probabilities.cumsum(axis=1) < random.random((rows, 1))).sum(axis=1)
    truths = np.asarray(classes)[np.minimum(drawn, len(classes) - 1)]
    return ReferenceAnswers(
        "classifier", np.asarray(classes)[probabilities.argmax(axis=1)], truths, classes, probabilities
    )


@given(st.integers(30, 120), st.integers(0, 1_000))
@settings(max_examples=30, deadline=None)
def test_binary_metrics_are_scikit_learns(rows: int, seed: int) -> None:
    answers = _classifier(rows, ["no", "yes"], seed)
    found = evaluate(answers)
    assert answers.probabilities is not None
    scores = answers.probabilities[:, 1]
    assert found["accuracy"].value == pytest.approx(metrics.accuracy_score(answers.truths, answers.predictions))
    assert found["f1"].value == pytest.approx(metrics.f1_score(answers.truths, answers.predictions, pos_label="yes"))
    assert found["log_loss"].value == pytest.approx(metrics.log_loss(answers.truths, scores))
    assert found["roc_auc"].value == pytest.approx(metrics.roc_auc_score(answers.truths == "yes", scores))
    for estimate in found.values():
        assert estimate.low <= estimate.value <= estimate.high


@given(st.integers(60, 120), st.integers(0, 1_000))
@settings(max_examples=20, deadline=None)
def test_metrics_of_several_classes_are_scikit_learns(rows: int, seed: int) -> None:
    answers = _classifier(rows, [0, 1, 2], seed)
    found = evaluate(answers)
    assert found["f1"].value == pytest.approx(metrics.f1_score(answers.truths, answers.predictions, average="macro"))
    area = metrics.roc_auc_score(answers.truths, answers.probabilities, multi_class="ovr")
    assert found["roc_auc"].value == pytest.approx(area)
    assert found["log_loss"].value == pytest.approx(metrics.log_loss(answers.truths, answers.probabilities))


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=2, max_size=50))
def test_regression_metrics_are_scikit_learns(pairs: list[tuple[float, float]]) -> None:
    truths, predictions = np.array(pairs).T
    found = evaluate(ReferenceAnswers("regressor", predictions, truths))
    assert found["mae"].value == pytest.approx(metrics.mean_absolute_error(truths, predictions), abs=1e-9)
    assert found["rmse"].value == pytest.approx(metrics.root_mean_squared_error(truths, predictions), abs=1e-9)
    assert 0 <= found["rmse"].low <= found["rmse"].value <= found["rmse"].high


def test_wilsons_interval_is_the_published_one() -> None:
    # Newcombe (1998), Statistics in Medicine 17, table I: 15 of 148 gives 0.0624 to 0.1605.
    truths = np.array([1] * 15 + [0] * 133)
    found = evaluate(ReferenceAnswers("classifier", np.ones(148, dtype=int), truths, [0, 1]))["accuracy"]
    assert (round(found.low, 4), round(found.high, 4)) == (0.0624, 0.1605)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    truth = evaluate(_classifier(30_000, [0, 1], seed=1))
    samples = [evaluate(_classifier(150, [0, 1], seed=seed)) for seed in range(2, 102)]
    for metric in ("accuracy", "f1", "log_loss", "roc_auc"):
        held = [sample[metric] for sample in samples]
        assert 0.88 <= np.mean([each.low <= truth[metric].value <= each.high for each in held]) <= 1.0
        assert np.mean([each.high - each.low for each in held]) < 0.3


def test_the_interval_of_several_classes_shrinks_with_rows() -> None:
    few, many = (evaluate(_classifier(rows, [0, 1, 2], seed=3))["roc_auc"] for rows in (100, 10_000))
    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(10, rel=0.4)


def _without(truths: NDArray[Any]) -> dict[str, Estimate]:
    probabilities = np.tile([0.6, 0.4], (len(truths), 1))
    return evaluate(ReferenceAnswers("classifier", np.zeros(len(truths), int), truths, [0, 1], probabilities))


def test_what_the_rows_do_not_define_is_left_out() -> None:
    assert set(_without(np.zeros(5, int))) == {"accuracy", "f1", "log_loss"}
    assert set(_without(np.array([0, 1, 2]))) == {"accuracy", "f1"}


def test_a_certain_and_wrong_answer_costs_much_but_not_infinity() -> None:
    probabilities = np.array([[1.0, 0.0], [0.5, 0.5]])
    answers = ReferenceAnswers("classifier", np.array([0, 0]), np.array([1, 0]), [0, 1], probabilities)
    assert 10 < evaluate(answers)["log_loss"].value < 20


def test_evaluating_twice_gives_the_same() -> None:
    answers = _classifier(100, [0, 1], seed=5)
    assert evaluate(answers, seed=1) == evaluate(answers, seed=1)


def test_metric_names_carry_prefix_and_bound() -> None:
    named = metric_values("training", {"rmse": Estimate(1.0, 0.5, 2.0)})
    assert named == {"training_rmse": 1.0, "training_rmse_low": 0.5, "training_rmse_high": 2.0}
