"""The proof: compiled and original model answer the same rows alike, refusals included."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from serving.bundle import ParityReport
from serving.compile.errors import CompileError, NotConvertibleError
from serving.compile.parity_rows import RowGroup, quartile_range, take
from serving.engines.original import OriginalModel
from serving.errors import EngineError
from serving.rows import Answers, Engine, Rows, Value

MAX_PROBABILITY_DIFFERENCE: Final = 1e-5
MAX_VALUE_DIFFERENCE: Final = 1e-4
"""In interquartile ranges of the reference predictions."""
_SINGLE_ROWS: Final = 32


@dataclass(frozen=True)
class Answer:
    """One row's answer: the prediction, and one probability per class where the model gives them."""

    prediction: Value
    probabilities: list[float] | None


def original_answers(model: OriginalModel, rows: Rows) -> list[Answer | None]:
    """One answer per row; None where the model raises or answers with no number."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [answer if _finite(answer) else None for answer in _split(model.predict(rows))]
    except Exception:  # noqa: BLE001 - a model of the user's may raise anything; that is its refusal
        if len(rows) == 1:
            return [None]
    half = len(rows) // 2
    parts = (range(half), range(half, len(rows)))
    return [answer for part in parts for answer in original_answers(model, take(rows, part))]


def engine_answers(engine: Engine, rows: Rows) -> list[Answer | None]:
    """As `original_answers`, of an engine."""
    try:
        return list(_split(engine.predict(rows)))
    except EngineError:
        if len(rows) == 1:
            return [None]
    half = len(rows) // 2
    parts = (range(half), range(half, len(rows)))
    return [answer for part in parts for answer in engine_answers(engine, take(rows, part))]


def _split(answers: Answers) -> list[Answer]:
    if answers.probabilities is None:
        return [Answer(one, None) for one in answers.predictions]
    return [Answer(one, shares) for one, shares in zip(answers.predictions, answers.probabilities, strict=True)]


def _finite(answer: Answer) -> bool:
    return not (isinstance(answer.prediction, float) and np.isnan(answer.prediction))


@dataclass(frozen=True)
class Judge:
    """Compares answers. `scale`: of regressors, the interquartile range; None for classifiers."""

    scale: float | None

    def difference(self, expected: Answer | None, found: Answer | None) -> float:
        """Largest difference in units of what is reported; infinite where labels or refusals differ."""
        if expected is None or found is None:
            return 0.0 if expected is found else float("inf")
        if self.scale is not None:
            return abs(float(expected.prediction) - float(found.prediction)) / self.scale
        if expected.prediction != found.prediction or type(expected.prediction) is not type(found.prediction):
            return float("inf")
        if expected.probabilities is None or found.probabilities is None:
            return 0.0 if expected.probabilities is found.probabilities else float("inf")
        return max(abs(a - b) for a, b in zip(expected.probabilities, found.probabilities, strict=True))

    @property
    def limit(self) -> float:
        return MAX_PROBABILITY_DIFFERENCE if self.scale is None else MAX_VALUE_DIFFERENCE

    def alike(self, expected: Sequence[Answer | None], found: Sequence[Answer | None]) -> bool:
        return all(self.difference(*pair) <= self.limit for pair in zip(expected, found, strict=True))


def refusal(model: OriginalModel, rows: Rows) -> str:
    """Why the model does not answer the first of the rows, as it says itself."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answers = model.predict(take(rows, [0]))
    except Exception as error:  # noqa: BLE001 - as in `original_answers`
        return f"{type(error).__name__}: {str(error)[:500]}"
    return f"it answered {answers.predictions[0]!r}"


def judge_for(
    base: Sequence[Answer | None],
    *,
    classifier: bool,
    quartiles: Sequence[float] = (),
    why: Callable[[], str] = lambda: "",
) -> Judge:
    """The measure of a model, from its own answers to the base rows.

    Args:
        base: Answers to typical rows.
        classifier: Whether they are labels.
        quartiles: Of its reference predictions, if known.
        why: Says why it answers none of them.

    Raises:
        CompileError: The model answers none of them.
    """
    answered = [answer.prediction for answer in base if answer is not None]
    if not answered:
        raise CompileError(f"the model itself cannot answer a single row of its own example or signature: {why()}")
    if classifier:
        return Judge(None)
    if len(quartiles) == 3 and quartiles[2] > quartiles[0]:
        return Judge(quartiles[2] - quartiles[0])
    return Judge(quartile_range(np.array(answered, dtype=np.float64)))


def prove(
    engine: Engine, judge: Judge, groups: Sequence[RowGroup], expected: Sequence[Sequence[Answer | None]]
) -> ParityReport:
    """Compares every group, and the base rows one by one with the same rows together.

    Raises:
        NotConvertibleError: They differ; the message says on which kind of rows, where and by how much.
    """
    worst = 0.0
    for group, answers in zip(groups, expected, strict=True):
        found = engine_answers(engine, group.rows)
        for index, pair in enumerate(zip(answers, found, strict=True)):
            difference = judge.difference(*pair)
            if difference > judge.limit:
                raise NotConvertibleError(_differs(group, index, *pair))
            worst = max(worst, difference)
    _prove_single(engine, judge, groups[0].rows)
    kinds = list(dict.fromkeys(group.kind for group in groups))
    return ParityReport(rows=sum(len(group.rows) for group in groups), kinds=kinds, max_difference=worst)


def _prove_single(engine: Engine, judge: Judge, rows: Rows) -> None:
    together = engine_answers(engine, rows)[:_SINGLE_ROWS]
    alone = [engine_answers(engine, take(rows, [index]))[0] for index in range(len(together))]
    if not judge.alike(together, alone):
        raise NotConvertibleError("parity: the compiled model answers a row differently alone and among others")


def _differs(group: RowGroup, index: int, expected: Answer | None, found: Answer | None) -> str:
    where = f"row {index} of the {group.kind} rows" + (f" (column {group.column!r})" if group.column else "")
    return f"parity: on {where} the model answers {_text(expected)}, its ONNX form {_text(found)}"


def _text(answer: Answer | None) -> str:
    if answer is None:
        return "with an error"
    shares = "" if answer.probabilities is None else f" with {[round(p, 7) for p in answer.probabilities[:5]]}"
    return f"{answer.prediction!r}{shares}"
