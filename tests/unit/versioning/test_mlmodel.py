"""Reading what a model says about itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from versioning.errors import ArtifactError
from versioning.mlmodel import ColumnSpec, InputExample, TensorSpec, read_mlmodel

WriteMlmodel = Callable[..., Path]
SKOPS = {"sklearn": {"pickled_model": "model.skops", "serialization_format": "skops", "sklearn_version": "1.9.1"}}


def signature(*inputs: dict[str, Any]) -> dict[str, Any]:
    return {"inputs": json.dumps(inputs), "outputs": json.dumps([{"type": "long"}])}


@pytest.mark.parametrize(
    ("flavors", "loader", "file"),
    [
        (SKOPS, "skops", "model.skops"),
        ({"sklearn": {"pickled_model": "m.pkl", "serialization_format": "cloudpickle"}}, "cloudpickle", "m.pkl"),
        ({"sklearn": {"pickled_model": "m.pkl", "serialization_format": "pickle"}}, "pickle", "m.pkl"),
        ({"sklearn": {"pickled_model": "m.pkl"}}, "pickle", "m.pkl"),
        ({"sklearn": {"pickled_model": "m.x", "serialization_format": "shiny"}}, "unknown", "m.x"),
        ({"onnx": {"data": "model.onnx"}, "python_function": {"data": "model.onnx"}}, "onnx", "model.onnx"),
        ({"python_function": {"loader_module": "mlflow.xgboost", "data": "model.xgb"}}, "pyfunc", "model.xgb"),
        ({"spark": {"x": 1}}, "unknown", None),
        ({}, "unknown", None),
    ],
)
def test_the_loader_follows_from_the_flavors(
    write_mlmodel: WriteMlmodel, flavors: Any, loader: str, file: str | None
) -> None:
    model = read_mlmodel(write_mlmodel(flavors))

    assert (model.loader, model.model_file) == (loader, file)


def test_columns_keep_their_order_types_and_nulls(write_mlmodel: WriteMlmodel) -> None:
    folder = write_mlmodel(
        SKOPS,
        signature=signature(
            {"name": "b", "type": "double", "required": False},
            {"name": "a", "type": "string", "required": True},
            {"name": "old", "type": "long", "optional": True},
            {"name": "older", "type": "boolean"},
        ),
    )

    found = read_mlmodel(folder).signature

    assert found is not None
    assert found.columns == (
        ColumnSpec("b", "double", required=False),
        ColumnSpec("a", "string"),
        ColumnSpec("old", "long", required=False),
        ColumnSpec("older", "boolean"),
    )
    assert found.output_columns == (ColumnSpec(None, "long"),)


def test_tensors_are_not_columns(write_mlmodel: WriteMlmodel) -> None:
    tensor = {"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}}

    found = read_mlmodel(write_mlmodel(SKOPS, signature=signature(tensor))).signature

    assert found is not None
    assert found.tensors == (TensorSpec(None, "float64", (-1, 4)),)
    assert found.columns == ()


def test_a_model_without_signature_or_example_says_so(write_mlmodel: WriteMlmodel) -> None:
    model = read_mlmodel(write_mlmodel(SKOPS))

    assert (model.signature, model.example) == (None, None)


@pytest.mark.parametrize(
    ("content", "example"),
    [
        ({"columns": ["a", "b"], "data": [[1.5, None]]}, InputExample(("a", "b"), ((1.5, None),))),
        ({"data": [[1, 2], [3, 4]]}, InputExample(None, ((1, 2), (3, 4)))),
        ({"inputs": [[1, 2]]}, InputExample(None, ((1, 2),))),
        ({"inputs": "words"}, None),
        ([1, 2], None),
    ],
)
def test_an_example_is_rows(write_mlmodel: WriteMlmodel, content: Any, example: InputExample | None) -> None:
    folder = write_mlmodel(SKOPS, saved_input_example_info={"artifact_path": "input_example.json", "type": "dataframe"})
    (folder / "input_example.json").write_text(json.dumps(content))

    assert read_mlmodel(folder).example == example


def test_an_example_outside_the_folder_is_not_read(write_mlmodel: WriteMlmodel, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text('{"data": [[1]]}')
    folder = write_mlmodel(SKOPS, saved_input_example_info={"artifact_path": "../secret.json", "type": "dataframe"})

    with pytest.raises(ArtifactError, match="leads out"):
        read_mlmodel(folder)


def test_a_link_out_of_the_folder_is_not_followed(write_mlmodel: WriteMlmodel, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("hush")
    folder = write_mlmodel(SKOPS)
    (folder / "requirements.txt").symlink_to(tmp_path / "secret.txt")

    with pytest.raises(ArtifactError, match="leads out"):
        read_mlmodel(folder)


def test_the_versions_it_was_made_with_are_told(write_mlmodel: WriteMlmodel) -> None:
    model = read_mlmodel(write_mlmodel(SKOPS, mlflow_version="2.9.2"))

    assert dict(model.versions) == {"scikit-learn": "1.9.1", "mlflow": "2.9.2"}


def test_a_folder_without_mlmodel_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no MLmodel file"):
        read_mlmodel(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "flavors", "flavors: [1, 2]", "flavors: {sklearn: 3}", "a: [", "!!python/object/apply:os.getcwd []", "\x00"],
)
def test_junk_is_an_artifact_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "MLmodel").write_text(text)

    with pytest.raises(ArtifactError, match="MLmodel"):
        read_mlmodel(tmp_path)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "MLmodel").write_bytes(content)

    with pytest.raises(ArtifactError):
        read_mlmodel(tmp_path)


def test_a_deep_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors: " + "[" * 20_000)

    with pytest.raises(ArtifactError):
        read_mlmodel(tmp_path)
