"""What counts as the same answer."""

import numpy as np
import pytest

from serving.compile.errors import CompileError, NotConvertibleError
from serving.compile.parity import Answer, Judge, engine_answers, judge_for, prove
from serving.compile.parity_rows import RowGroup, as_rows, base_rows, groups, quartile_range
from serving.errors import EngineError
from serving.rows import Answers, Rows
from serving.signature import Column, Signature

SIGNATURE = Signature(
    (
        Column("x", "float", nullable=True),
        Column("n", "integer", dtype="long"),
        Column("word", "string", nullable=True, dtype="string"),
    )
)


class _Engine:
    """Answers x with a fixed error, and refuses null."""

    inline = True

    def __init__(self, *, error: float = 0.0, alone: float = 0.0) -> None:
        self._error, self._alone = error, alone

    def predict(self, rows: Rows) -> Answers:
        if np.isnan(rows.numbers).any():
            raise EngineError("null")
        shift = self._error + (self._alone if len(rows) == 1 else 0.0)
        return Answers((rows.numbers[:, 0] + shift).tolist(), None)

    def close(self) -> None:
        pass


def _base(values: list[float]) -> RowGroup:
    return RowGroup("example", as_rows(SIGNATURE, [{"x": x, "n": 1, "word": "a"} for x in values]))


def test_labels_of_another_type_differ() -> None:
    judge = Judge(None)

    assert judge.difference(Answer(1, [0.0, 1.0]), Answer(1, [0.0, 1.0])) == 0.0
    assert judge.difference(Answer(1, [0.0, 1.0]), Answer(True, [0.0, 1.0])) == float("inf")
    assert judge.difference(Answer("1", None), Answer(1, None)) == float("inf")


def test_a_refusal_equals_a_refusal_only() -> None:
    assert Judge(1.0).difference(None, None) == 0.0
    assert Judge(1.0).difference(None, Answer(1.0, None)) == float("inf")
    assert Judge(1.0).difference(Answer(1.0, None), None) == float("inf")


def test_regression_is_measured_in_quartile_ranges() -> None:
    judge = judge_for([Answer(float(value), None) for value in range(101)], classifier=False)

    assert judge.difference(Answer(10.0, None), Answer(15.0, None)) == pytest.approx(5 / 50)


def test_predictions_without_spread_still_give_a_scale() -> None:
    assert quartile_range(np.full(10, 1e6)) > 0


def test_a_model_that_answers_nothing_is_an_error_not_a_bundle() -> None:
    with pytest.raises(CompileError, match="cannot answer a single row"):
        judge_for([None, None], classifier=True)


def test_one_bad_row_is_found_among_good_ones() -> None:
    rows = as_rows(SIGNATURE, [{"x": None if at == 5 else float(at), "n": 1, "word": "a"} for at in range(9)])

    found = engine_answers(_Engine(), rows)

    assert [answer is None for answer in found] == [at == 5 for at in range(9)]


def test_equal_engines_pass_and_the_report_counts_the_rows() -> None:
    base = _base([1.0, 2.0, 3.0])

    report = prove(_Engine(), Judge(1.0), [base], [engine_answers(_Engine(), base.rows)])

    assert (report.rows, report.kinds, report.max_difference) == (3, ["example"], 0.0)


def test_a_difference_is_refused_and_says_where() -> None:
    base = _base([1.0, 2.0])

    with pytest.raises(
        NotConvertibleError, match=r"row 0 of the example rows the model answers 1\.0, its ONNX form 1\.1"
    ):
        prove(_Engine(error=0.1), Judge(1.0), [base], [engine_answers(_Engine(), base.rows)])


def test_an_answer_that_depends_on_its_neighbours_is_refused() -> None:
    base = _base([1.0, 2.0])
    expected = [engine_answers(_Engine(), base.rows)]

    with pytest.raises(NotConvertibleError, match="alone and among others"):
        prove(_Engine(alone=0.1), Judge(1.0), [base], expected)


def test_the_rows_hold_every_trap() -> None:
    words = {"word": ["AA", "UA"]}
    found = groups(SIGNATURE, base_rows(SIGNATURE, [], words), "ranges", words)

    by_kind = {(group.kind, group.column): group.rows for group in found}
    assert len(by_kind["ranges", None]) == 200
    assert np.isnan(by_kind["nulls", "x"].numbers[:, 0]).all()
    assert {row[0] for row in by_kind["nulls", "word"].strings} == {None}
    assert {"", "naïve-Straße-東京-🛫"} <= {row[0] for row in by_kind["unseen", "word"].strings}
    assert {row[0] for row in by_kind["categories", "word"].strings} == {"AA", "UA"}
    assert (np.abs(by_kind["large_integers", "n"].numbers[:, 1]) > 2**24).all()
    assert ("nulls", "n") not in by_kind


def test_base_rows_repeat_exactly() -> None:
    known = [{"x": 1.0, "n": 3, "word": "AA"}]

    assert base_rows(SIGNATURE, known, {}) == base_rows(SIGNATURE, known, {})
    assert base_rows(SIGNATURE, known, {})[0] == known[0]
