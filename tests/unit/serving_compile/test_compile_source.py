"""From an MLmodel file's words to a signature."""

from types import SimpleNamespace

import numpy as np
import pytest

from serving.compile.errors import CompileError
from serving.compile.source import example_rows, signature_of
from serving.signature import Column, Signature
from versioning.mlmodel import ColumnSpec, InputExample, MlModel, ModelSignature, TensorSpec


def _model(signature: ModelSignature | None) -> MlModel:
    return MlModel(
        flavors={},
        loader="skops",
        model_file=None,
        code=None,
        versions={},
        requirements=(),
        signature=signature,
        example=None,
    )


def test_logged_columns_keep_their_types_and_only_floats_and_optional_ones_take_null() -> None:
    columns = (
        ColumnSpec("a", "double"),
        ColumnSpec("b", "long"),
        ColumnSpec("c", "integer", required=False),
        ColumnSpec("d", "boolean"),
        ColumnSpec("e", "string", required=False),
        ColumnSpec("f", "float"),
    )

    assert signature_of(_model(ModelSignature(columns)), SimpleNamespace()) == Signature(
        (
            Column("a", "float", nullable=True, dtype="double"),
            Column("b", "integer", nullable=False, dtype="long"),
            Column("c", "integer", nullable=True, dtype="integer"),
            Column("d", "boolean", nullable=False, dtype="boolean"),
            Column("e", "string", nullable=True, dtype="string"),
            Column("f", "float", nullable=True, dtype="float"),
        )
    )


def test_a_type_that_is_not_served_is_named_with_its_column() -> None:
    with pytest.raises(CompileError, match=r"column 'when' has the type 'datetime'.*log the model with"):
        signature_of(_model(ModelSignature((ColumnSpec("when", "datetime"),))), SimpleNamespace())


def test_without_a_signature_the_names_of_the_fit_are_taken() -> None:
    estimator = SimpleNamespace(feature_names_in_=np.array(["x", "y"], dtype=object))

    assert [column.name for column in signature_of(_model(None), estimator).columns] == ["x", "y"]


@pytest.mark.parametrize("logged", [None, ModelSignature(tensors=(TensorSpec(None, "float64", (-1, 3)),))])
def test_without_names_columns_are_positions(logged: ModelSignature | None) -> None:
    signature = signature_of(_model(logged), SimpleNamespace(n_features_in_=3))

    assert signature.positional
    assert [column.name for column in signature.columns] == ["0", "1", "2"]


def test_a_model_nothing_is_known_of_is_refused_with_the_remedy() -> None:
    with pytest.raises(CompileError, match="log it with a signature"):
        signature_of(_model(None), SimpleNamespace())


def test_an_example_without_names_is_read_in_the_signatures_order() -> None:
    signature = Signature((Column("a", "float"), Column("b", "string")))

    assert example_rows(InputExample(None, ((1.0, "x"),)), signature) == [{"a": 1.0, "b": "x"}]
    assert example_rows(InputExample(("b", "a"), (("x", 1.0),)), signature) == [{"b": "x", "a": 1.0}]
    assert example_rows(None, signature) == []
