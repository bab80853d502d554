"""Models as ONNX in this process: one matrix of numbers and one of string codes in, plain Python values out.

The graph's form (made by `serving.compile`):

    inputs   `numbers`  float64 (rows, numeric columns), as in `Rows`
             `codes`    int64 (string columns, rows): position in `Bundle.vocabulary`; null is V, unseen V + 1
             (either is absent when the model does not use it)
    outputs  `probabilities` (rows, classes), or (rows, 1) for the second of two, and `labels` only where they are not the most probable class;
             `values` (rows,) for regressors

Imports numpy, onnxruntime and msgspec only.
"""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from serving.bundle import Bundle
from serving.errors import EngineError, RefusedRowsError
from serving.rows import Answers, Rows, Value

INLINE_ROWS: Final = 64
INLINE_SECONDS: Final = 0.0005
"""A model that answers `INLINE_ROWS` rows within this time is called in the event loop."""

_ORT_ERRORS: Final = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)

_Feed = dict[str, NDArray[Any]]


class OnnxEngine:
    """Runs `model.onnx` of a bundle folder.

    Raises:
        EngineError: The file is missing, corrupt, or not of the form above.
    """

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        session = _open_session(folder / "model.onnx")
        # The session's own `run` checks the feed in Python first, for 0.8 us a call; this feed is ours.
        self._run: Callable[..., list[NDArray[Any]]] = session._sess.run  # noqa: SLF001 as above
        self._outputs = [output.name for output in session.get_outputs()]
        inputs = {one.name for one in session.get_inputs()}
        if not inputs <= {"numbers", "codes"}:
            raise EngineError(f"{folder / 'model.onnx'}: inputs {sorted(inputs)} are not those of a bundle")
        self._signature = bundle.signature
        self._takes_numbers = "numbers" in inputs
        self._lookups = _code_lookups(bundle) if "codes" in inputs else []
        self._no_null_numbers, self._no_null_strings = _refused_nulls(bundle)
        self._answer = _answers_of(bundle, session)
        self._inline = bundle.latency.seconds_by_rows.get(INLINE_ROWS, float("inf")) <= INLINE_SECONDS

    @property
    def inline(self) -> bool:
        return self._inline

    def predict(self, rows: Rows) -> Answers:
        """Answers every row.

        Raises:
            RefusedRowsError: A row holds a null or an unseen category that the model refuses, or has no finite answer.
            EngineError: The model failed.
        """
        if not len(rows):
            return Answers([], [])
        if self._no_null_numbers and np.isnan(rows.numbers[:, self._no_null_numbers]).any():
            raise RefusedRowsError(self._null_message(rows))
        if self._no_null_strings and any(row[at] is None for row in rows.strings for at in self._no_null_strings):
            raise RefusedRowsError(self._null_message(rows))
        try:
            answers = self._answer(self._run(self._outputs, self._feed(rows), None))
        except _ORT_ERRORS as error:
            raise EngineError(f"the model failed on these rows: {error}") from error
        if answers is None:
            raise RefusedRowsError(self._null_message(rows))
        return answers

    def close(self) -> None:
        """Releases the session; a later `predict` raises EngineError."""
        self._run = _closed

    def _feed(self, rows: Rows) -> _Feed:
        feed: _Feed = {}
        if self._takes_numbers:
            feed["numbers"] = rows.numbers
        if self._lookups:
            columns = zip(*rows.strings, strict=True)
            codes = [
                code for codes_of, words in zip(self._lookups, columns, strict=True) for code in map(codes_of, words)
            ]
            feed["codes"] = np.array(codes, dtype=np.int64).reshape(len(self._lookups), len(rows))
        return feed

    def _null_message(self, rows: Rows) -> str:
        nulls = [bool(np.isnan(values).any()) for values in rows.numbers.T]
        names = [column.name for column, null in zip(self._signature.number_columns, nulls, strict=True) if null]
        strings = self._signature.string_columns
        names += [column.name for at, column in enumerate(strings) if any(row[at] is None for row in rows.strings)]
        if names:
            return f"the model does not answer rows with null in {', '.join(map(repr, names))}: send values"
        return "the model's answer is not a finite number for these rows"


class _ClassifierAnswers:
    """Turns the graph's outputs into labels in their own type and probabilities."""

    def __init__(self, bundle: Bundle, shapes: Mapping[str, Sequence[int | str | None]]) -> None:
        classes = list(bundle.classes or ())
        if not classes:
            raise EngineError("a classifier's bundle names no classes: compile the model again")
        self._classes = classes
        # 1 == 1.0 == True: the graph's integer labels find classes that are floats or booleans.
        self._by_label: dict[Any, Value] = {label: label for label in classes}
        outputs = list(shapes)
        self._label_at = outputs.index("labels") if "labels" in outputs else None
        self._probabilities_at = outputs.index("probabilities") if "probabilities" in outputs else None
        self._pairs = list(shapes.get("probabilities", ()))[1:] == [1]

    def __call__(self, outputs: list[NDArray[Any]]) -> Answers | None:
        if self._probabilities_at is None:
            return Answers(self._labels(outputs), None)
        if self._pairs:
            return self._second_of_two(outputs)
        probabilities: list[list[float]] = outputs[self._probabilities_at].tolist()
        if not isfinite(sum(map(sum, probabilities))):
            return None
        if self._label_at is not None:
            return Answers(self._labels(outputs), probabilities)
        classes = self._classes
        return Answers([classes[row.index(max(row))] for row in probabilities], probabilities)

    def _second_of_two(self, outputs: list[NDArray[Any]]) -> Answers | None:
        """From p(second class) alone; a tie is the first class, as scikit-learn's argmax."""
        chances: list[float] = outputs[self._probabilities_at or 0].ravel().tolist()
        if not isfinite(sum(chances)):
            return None
        first, second = self._classes
        labels = [second if chance > 0.5 else first for chance in chances]
        return Answers(labels, [[1.0 - chance, chance] for chance in chances])

    def _labels(self, outputs: list[NDArray[Any]]) -> list[Value]:
        by_label = self._by_label
        return [by_label[label] for label in outputs[self._label_at or 0].tolist()]


def _answers_of(bundle: Bundle, session: ort.InferenceSession) -> Callable[[list[NDArray[Any]]], Answers | None]:
    if bundle.task == "regressor":
        return _regressor_answers
    return _ClassifierAnswers(bundle, {output.name: output.shape for output in session.get_outputs()})


def _regressor_answers(outputs: list[NDArray[Any]]) -> Answers | None:
    values = outputs[0].ravel().tolist()
    return Answers(values, None) if all(map(isfinite, values)) else None


class _Codes(dict[str | None, int]):
    """Word to code; null has the code after the last word, every other word the one after that."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__({word: code for code, word in enumerate(words)} | {None: len(words)})
        self._unseen = len(words) + 1

    def __missing__(self, _word: str | None) -> int:
        return self._unseen


def _refused_nulls(bundle: Bundle) -> tuple[list[int], list[int]]:
    """Positions, among numbers and among strings, of the columns in `details["refuses_null"]`."""
    names = set(bundle.details.get("refuses_null", ()))
    kinds = (bundle.signature.number_columns, bundle.signature.string_columns)
    numbers, strings = ([at for at, column in enumerate(columns) if column.name in names] for columns in kinds)
    return numbers, strings


def _code_lookups(bundle: Bundle) -> list[Callable[[str | None], int]]:
    columns = bundle.signature.string_columns
    if bundle.vocabulary is None or len(bundle.vocabulary) != len(columns):
        raise EngineError("the bundle's vocabulary does not fit its string columns: compile the model again")
    return [_Codes(words).__getitem__ for words in bundle.vocabulary]


def _open_session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except _ORT_ERRORS as error:
        raise EngineError(f"{path}: not a usable ONNX model: {error}") from error


def _closed(*_: Any) -> list[NDArray[Any]]:
    raise EngineError("the model is closed")
