"""What a null means to the model, found by asking it."""

from collections.abc import Mapping, Sequence

from serving.compile.parity import Answer, Judge, engine_answers
from serving.compile.parity_rows import RowGroup, replace_null
from serving.compile.strings import UNSEEN_WORD
from serving.rows import Engine
from serving.signature import Signature

Answered = Sequence[Sequence[Answer | None]]


def find_null_words(
    engine: Engine,
    judge: Judge,
    groups: Sequence[RowGroup],
    expected: Answered,
    *,
    signature: Signature,
    candidates: Mapping[str, Sequence[str]],
) -> dict[str, str | None]:
    """Per string column the word whose answers the model gives to null; None: those of an unseen word.

    A column without such a word is left to unseen, and the proof then fails on it.
    """
    found: dict[str, str | None] = {}
    for group, answers in zip(groups, expected, strict=True):
        column = group.column
        if group.kind != "nulls" or column is None or column not in candidates:
            continue
        for word in (UNSEEN_WORD, *candidates[column]):
            rows = replace_null(signature, group.rows, column, word)
            if judge.alike(answers, engine_answers(engine, rows)):
                found[column] = None if word == UNSEEN_WORD else word
                break
    return found


def refused_nulls(engine: Engine, groups: Sequence[RowGroup], expected: Answered) -> list[str]:
    """Columns whose null the model refuses, where its ONNX form would answer."""
    return [
        group.column
        for group, answers in zip(groups, expected, strict=True)
        if group.kind == "nulls"
        and group.column is not None
        and all(answer is None for answer in answers)
        and any(answer is not None for answer in engine_answers(engine, group.rows))
    ]
