from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from serving.engines.original import OriginalModel, original_input
from serving.rows import Rows
from serving.signature import Column, Signature

MIXED = Signature(
    (
        Column("carrier", "string", nullable=True, dtype="string"),
        Column("delay", "float"),
        Column("month", "integer", dtype="long"),
        Column("night", "boolean", dtype="boolean"),
    )
)


def test_columns_come_back_in_the_models_order_and_types() -> None:
    frame: Any = original_input(Rows(np.array([[1.5, 7.0, 1.0]]), [("UA",)]), MIXED)

    assert list(frame.columns) == ["carrier", "delay", "month", "night"]
    assert [str(dtype) for dtype in frame.dtypes] == ["str", "float64", "int64", "bool"]
    assert frame.iloc[0].tolist() == ["UA", 1.5, 7, True]


def test_an_encoder_sees_a_missing_string_as_in_training() -> None:
    trained_on = pd.DataFrame({"carrier": ["UA", None, "AA", None], "delay": [0.0, 9.0, 1.0, 8.0]})
    encode = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["carrier"]), remainder="passthrough")
    model = make_pipeline(encode, LogisticRegression()).fit(trained_on, ["on", "late", "on", "late"])
    signature = Signature((Column("carrier", "string", nullable=True, dtype="string"), Column("delay", "float")))

    answers = OriginalModel(model, signature, ["late", "on"]).predict(
        Rows(np.array([[9.0], [0.0]]), [(None,), ("UA",)])
    )

    expected = model.predict_proba(pd.DataFrame({"carrier": [None, "UA"], "delay": [9.0, 0.0]}, dtype=None))
    assert answers.predictions == ["late", "on"]
    assert answers.probabilities == expected.tolist()


def test_a_positional_model_gets_a_matrix() -> None:
    model = LinearRegression().fit(np.array([[0.0], [1.0]]), [0.0, 2.0])
    signature = Signature((Column("0", "float"),), positional=True)

    answers = OriginalModel(model, signature, None).predict(Rows(np.array([[3.0]]), [()]))

    assert answers.predictions == pytest.approx([6.0])
    assert answers.probabilities is None


def test_an_integer_column_with_a_null_becomes_float() -> None:
    frame: Any = original_input(Rows(np.array([[1.0, np.nan, 1.0]]), [("UA",)]), MIXED)

    assert str(frame["month"].dtype) == "float64"


def test_a_model_that_does_not_answer_row_by_row_is_an_error() -> None:
    class Summing:
        def predict(self, rows: Any, /) -> Any:
            return np.array([rows.sum()])

    model = OriginalModel(Summing(), Signature((Column("0", "float"),), positional=True), None)

    with pytest.raises(ValueError, match="answered 2 rows"):
        model.predict(Rows(np.array([[1.0], [2.0]]), [(), ()]))
