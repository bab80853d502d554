"""What an `MLmodel` file says about a model, read without mlflow and without touching the model itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import yaml  # type: ignore[import-untyped] # ships no types

from versioning.errors import ArtifactError

Serialization = Literal["skops", "pickle", "cloudpickle", "pyfunc", "onnx", "unknown"]

_TEXT_MAX_BYTES: Final = 16 * 1024**2


@dataclass(frozen=True)
class ColumnSpec:
    """One column as MLflow names it.

    Attributes:
        name: None where the model takes its columns by position.
        type: `double`, `float`, `long`, `integer`, `boolean`, `string`, `datetime`, `binary` or `object`.
        required: False where null (or the column's absence) is allowed.
    """

    name: str | None
    type: str
    required: bool = True


@dataclass(frozen=True)
class TensorSpec:
    """One tensor: `dtype` is numpy's name; -1 in `shape` is any length."""

    name: str | None
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ModelSignature:
    """Inputs and outputs; a model has columns or tensors, not both."""

    columns: tuple[ColumnSpec, ...] = ()
    tensors: tuple[TensorSpec, ...] = ()
    output_columns: tuple[ColumnSpec, ...] = ()
    output_tensors: tuple[TensorSpec, ...] = ()


@dataclass(frozen=True)
class InputExample:
    """The rows a model was logged with; `columns` is None where they came without names."""

    columns: tuple[str, ...] | None
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class MlModel:
    """One `MLmodel` file.

    Attributes:
        flavors: As logged, e.g. `sklearn`, `python_function`.
        loader: How the model's bytes have to be read; `pyfunc` is whatever no other loader reads.
        model_file: The file with those bytes, relative to the folder; None where the flavor has none.
        code: Folder of Python code logged with the model, relative; it would run at loading.
        versions: Package to the version the model was made with, as far as said, e.g. `scikit-learn`, `python`.
        requirements: Lines of its requirements.txt.
        signature: None when it was logged without one.
        example: None when it was logged without one, or not as rows.
    """

    flavors: Mapping[str, Mapping[str, Any]]
    loader: Serialization
    model_file: str | None
    code: str | None
    versions: Mapping[str, str]
    requirements: tuple[str, ...]
    signature: ModelSignature | None
    example: InputExample | None


def read_mlmodel(folder: Path) -> MlModel:
    """Reads `MLmodel`, its requirements and its input example.

    Raises:
        ArtifactError: There is no such file in the folder, or it cannot be understood.
    """
    text = read_text(folder, "MLmodel")
    if text is None:
        raise ArtifactError(f"no MLmodel file in {folder.name!r}: these are not the files of an MLflow model")
    try:
        content = yaml.safe_load(text)
        flavors = {name: dict(flavor or {}) for name, flavor in content["flavors"].items()}
        return MlModel(
            flavors=flavors,
            loader=_loader(flavors),
            model_file=_model_file(flavors),
            code=next((flavor["code"] for flavor in flavors.values() if flavor.get("code")), None),
            versions=_versions(flavors, content),
            requirements=tuple((read_text(folder, "requirements.txt") or "").split("\n")),
            signature=_signature(content.get("signature")),
            example=_example(folder, content.get("saved_input_example_info")),
        )
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ArtifactError(f"the MLmodel file cannot be understood: {type(error).__name__}: {error}") from error


def read_text(folder: Path, name: str) -> str | None:
    """A small text file inside `folder`, or None; raises ArtifactError when it leads outside, is huge or not text."""
    path = inside(folder, name)
    try:
        if path.stat().st_size > _TEXT_MAX_BYTES:
            raise ArtifactError(f"{name} is larger than {_TEXT_MAX_BYTES} bytes")
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{name} cannot be read: {error}") from error


def inside(folder: Path, name: str) -> Path:
    """`folder / name`; raises ArtifactError when that leads out of the folder, by `..` or by a link."""
    root = folder.resolve()
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise ArtifactError(f"{name!r} leads out of the model's folder")
    return path


def _loader(flavors: Mapping[str, Mapping[str, Any]]) -> Serialization:
    if "sklearn" in flavors:
        written = flavors["sklearn"].get("serialization_format", "pickle")
        return written if written in {"skops", "pickle", "cloudpickle"} else "unknown"
    if "onnx" in flavors:
        return "onnx"
    return "pyfunc" if "python_function" in flavors else "unknown"


def _model_file(flavors: Mapping[str, Mapping[str, Any]]) -> str | None:
    if "sklearn" in flavors:
        found = flavors["sklearn"].get("pickled_model")
    else:
        found = flavors.get("onnx", flavors.get("python_function", {})).get("data")
    return str(found) if found else None


def _versions(flavors: Mapping[str, Mapping[str, Any]], content: Mapping[str, Any]) -> dict[str, str]:
    said = {
        "scikit-learn": flavors.get("sklearn", {}).get("sklearn_version"),
        "python": flavors.get("python_function", {}).get("python_version"),
        "mlflow": content.get("mlflow_version"),
    }
    return {package: str(version) for package, version in said.items() if version}


def _signature(content: Mapping[str, str | None] | None) -> ModelSignature | None:
    if not content or not content.get("inputs"):
        return None
    columns, tensors = _schema(content["inputs"])
    output_columns, output_tensors = _schema(content.get("outputs"))
    return ModelSignature(columns, tensors, output_columns, output_tensors)


def _schema(text: str | None) -> tuple[tuple[ColumnSpec, ...], tuple[TensorSpec, ...]]:
    items = json.loads(text) if text else []
    columns = tuple(_column(item) for item in items if item["type"] != "tensor")
    tensors = tuple(_tensor(item) for item in items if item["type"] == "tensor")
    return columns, tensors


def _column(item: Mapping[str, Any]) -> ColumnSpec:
    required = item.get("required", not item.get("optional", False))
    return ColumnSpec(item.get("name"), str(item["type"]), bool(required))


def _tensor(item: Mapping[str, Any]) -> TensorSpec:
    spec = item["tensor-spec"]
    return TensorSpec(item.get("name"), str(spec["dtype"]), tuple(int(length) for length in spec["shape"]))


def _example(folder: Path, described: Mapping[str, Any] | None) -> InputExample | None:
    text = read_text(folder, str(described["artifact_path"])) if described else None
    content = json.loads(text) if text else None
    if not isinstance(content, dict):
        return None
    rows = content.get("data", content.get("inputs"))
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        return None
    names = content.get("columns")
    return InputExample(tuple(map(str, names)) if names else None, tuple(map(tuple, rows)))
