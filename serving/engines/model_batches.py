"""Calls of several callers answered in one go, so that no caller feels another's bad rows. Pure."""

from collections.abc import Callable, Sequence

import numpy as np

from serving.engines.frames import Call, Reply, reply_of, rows_of
from serving.rows import Answers, Rows

Predict = Callable[[Rows], Answers]
_LONGEST_ERROR = 500


def take_batch(waiting: Sequence[Call], max_rows: int) -> int:
    """How many of the waiting calls, from the first on, go into one batch: as many as fit, at least one."""
    rows = 0
    for count, call in enumerate(waiting):
        rows += call.rows
        if rows > max_rows:
            return max(count, 1)
    return len(waiting)


def answer(calls: Sequence[Call], predict: Predict) -> list[Reply]:
    """One reply per call, in order. A batch the model refuses is asked again call by call."""
    if len(calls) == 1:
        return [_answer_one(calls[0], predict)]
    try:
        return _answer_together(calls, predict)
    except Exception:  # noqa: BLE001 the model is a stranger's code; whoever is at fault is told by the second try
        return [_answer_one(call, predict) for call in calls]


def _answer_one(call: Call, predict: Predict) -> Reply:
    if not call.rows:
        return Reply()
    try:
        return reply_of(predict(rows_of(call)))
    except Exception as error:  # noqa: BLE001 a stranger's code may raise anything; the caller is told what
        return Reply(error=f"{type(error).__name__}: {error}"[:_LONGEST_ERROR])


def _answer_together(calls: Sequence[Call], predict: Predict) -> list[Reply]:
    parts = [rows_of(call) for call in calls if call.rows]
    numbers = np.concatenate([part.numbers for part in parts])
    answers = predict(Rows(numbers, [row for part in parts for row in part.strings]))
    replies = []
    start = 0
    for call in calls:
        end = start + call.rows
        replies.append(_part(answers, start, end))
        start = end
    return replies


def _part(answers: Answers, start: int, end: int) -> Reply:
    if start == end or answers.probabilities is None:
        return Reply(answers.predictions[start:end])
    return Reply(answers.predictions[start:end], answers.probabilities[start:end])
