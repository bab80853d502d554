"""Models as users log them with plain MLflow, compiled by the real child and loaded as the model process does."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped] # ships no types
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from serving.bundle import Bundle, read_bundle
from serving.compile.__main__ import compile_request
from serving.compile.child import compile_in_child
from serving.compile.errors import CompileError
from serving.compile.request import CompileRequest
from serving.engines.onnx import OnnxEngine
from serving.row_codec import RowCodec
from serving.rows import Value
from understudy.roles.model import load
from versioning.mlflow_edge import quiet

with quiet():
    import mlflow.pyfunc
    import mlflow.sklearn
    from mlflow.models import infer_signature

pytestmark = pytest.mark.slow
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the child has no tests to import
MIXED = pd.DataFrame({"text": ["a", "much longer"], "count": [1, 2], "x": [0.5, 1.0]})
IRIS = load_iris()


class Model(mlflow.pyfunc.PythonModel):  # type: ignore[misc] # mlflow is untyped
    """Any function of a frame (or matrix) as a model of the user's."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201 - mlflow warns about hints
        return self.function(model_input)


@pytest.fixture(autouse=True)
def _allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOW_PICKLE", "users")


@pytest.fixture
def asked(tmp_path: Path) -> CompileRequest:
    out = str(tmp_path / "bundles" / "1-abc")
    return CompileRequest(source=str(tmp_path / "source"), out=out, model_name="users", model_version="1", digest="abc")


@pytest.fixture
def compiled(asked: CompileRequest) -> Callable[[], Bundle]:
    """What the child does, without the seconds that its start takes."""

    def run() -> Bundle:
        with quiet():
            result = compile_request(asked)
        if result.error_type is not None:
            error = CompileError(result.message)
            error.error_type = result.error_type
            raise error
        return read_bundle(Path(asked.out))

    return run


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., None]:
    def save(function: Callable[[Any], Any], **options: Any) -> None:
        with quiet():
            mlflow.pyfunc.save_model(
                tmp_path / "source", python_model=Model(function), **({"pip_requirements": ["numpy"]} | options)
            )

    return save


def signature_like(*examples: Any) -> Any:
    with quiet():
        return infer_signature(*examples)


def ask(folder: Path, bundle: Bundle, table: Sequence[Sequence[Any]]) -> list[Value]:
    """The answers of the model process's own loading, to rows as they come in JSON."""
    codec = RowCodec(bundle.signature)
    return load(folder)(codec.rows(codec.from_table(None, [list(row) for row in table]))).predictions


@pytest.mark.parametrize(
    ("function", "kind", "expected"),
    [
        (lambda rows: np.where(rows["count"] > 3, "many", "few"), "string", ["many", "few"]),
        (lambda rows: (rows["count"] > 3).tolist(), "boolean", [True, False]),
        (lambda rows: rows[["count"]] // 3, "integer", [3, 0]),
        (lambda rows: rows["x"] * 2, None, [1.0, 5.0]),
    ],
    ids=["strings", "booleans", "integers", "numbers"],
)
def test_what_a_python_model_answers_with_decides_what_it_is(
    log: Any, compiled: Any, tmp_path: Path, function: Any, kind: str | None, expected: list[Value]
) -> None:
    log(function, signature=signature_like(MIXED))

    bundle = compiled()

    task = "regressor" if kind is None else "classifier"
    assert (bundle.engine, bundle.task, bundle.classes, bundle.label_kind) == ("process", task, None, kind)
    assert "logged as python_function and not as sklearn" in bundle.engine_reason
    answers = ask(tmp_path / "bundles" / "1-abc", bundle, [["a", 9, 0.5], ["b", 1, 2.5]])
    assert [(one, type(one)) for one in answers] == [(one, type(one)) for one in expected]


def test_the_logged_output_type_counts_more_than_what_is_seen(log: Any, compiled: Any, tmp_path: Path) -> None:
    log(lambda rows: rows["count"], signature=signature_like(MIXED, np.array([0.5])))

    bundle = compiled()

    assert (bundle.task, bundle.label_kind) == ("regressor", None)
    assert ask(tmp_path / "bundles" / "1-abc", bundle, [["a", 9, 0.5]]) == [9.0]


def test_a_plain_function_of_strings_is_served_by_position(asked: CompileRequest, tmp_path: Path) -> None:
    def shout(model_input: list[str]) -> list[str]:
        return [text.upper() for text in model_input]

    with quiet():
        mlflow.pyfunc.save_model(
            tmp_path / "source", python_model=shout, input_example=["a"], pip_requirements=["numpy"]
        )

    bundle = compile_in_child(asked)

    assert (bundle.signature.positional, bundle.label_kind) == (True, "string")
    assert ask(tmp_path / "bundles" / "1-abc", bundle, [["loud"], [""]]) == ["LOUD", ""]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_a_matrix_reaches_the_model_in_the_type_it_was_logged_with(
    log: Any, compiled: Any, tmp_path: Path, dtype: str
) -> None:
    log(lambda rows: [str(rows.dtype)] * len(rows), signature=signature_like(np.ones((2, 3), dtype)))

    bundle = compiled()

    assert bundle.signature.positional
    assert ask(tmp_path / "bundles" / "1-abc", bundle, [[1, 2, 3]]) == [dtype]


@pytest.mark.parametrize("written", ["cloudpickle", "pickle"])
@pytest.mark.parametrize("estimator", [LogisticRegression(max_iter=500), HistGradientBoostingClassifier(max_iter=5)])
def test_a_pickled_estimator_is_compiled_like_any_other(
    compiled: Any, tmp_path: Path, estimator: Any, written: str
) -> None:
    rows = IRIS.data.astype("float32")
    with quiet():
        mlflow.sklearn.save_model(
            estimator.fit(rows, IRIS.target),
            tmp_path / "source",
            serialization_format=written,
            signature=signature_like(rows, IRIS.target),
            pip_requirements=["scikit-learn"],
        )

    bundle = compiled()

    assert (bundle.engine, bundle.engine_reason, bundle.signature.positional) == ("onnx", "", True)
    codec = RowCodec(bundle.signature)
    table = codec.rows(codec.from_table(None, IRIS.data.tolist()))
    found = OnnxEngine(tmp_path / "bundles" / "1-abc", bundle).predict(table)
    assert found.predictions == estimator.predict(rows).tolist()
    assert found.probabilities is not None
    np.testing.assert_allclose(found.probabilities, estimator.predict_proba(rows), atol=1e-5)


def test_without_permission_it_never_runs(
    log: Any, compiled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(lambda rows: rows["x"], signature=signature_like(MIXED))
    monkeypatch.setenv("ALLOW_PICKLE", "another")

    with pytest.raises(CompileError, match="set ALLOW_PICKLE=users") as caught:
        compiled()

    assert caught.value.error_type == "forbidden_model"
    assert not (tmp_path / "bundles").exists()


def test_without_a_signature_it_says_to_log_one(log: Any, compiled: Any) -> None:
    log(lambda rows: rows["x"])

    with pytest.raises(CompileError, match="log it with a signature"):
        compiled()


def test_a_missing_package_is_named_with_the_version_the_model_wants(
    log: Any, asked: CompileRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lost_package.py").write_text("def twice(rows):\n    return rows['x'] * 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    import lost_package  # type: ignore[import-not-found] # noqa: PLC0415 - written above

    log(lost_package.twice, signature=signature_like(MIXED), pip_requirements=["numpy", "lost-package==1.2.3"])
    sys.modules.pop("lost_package")

    with pytest.raises(
        CompileError, match=r"'lost_package', which is not installed.*'lost-package==1\.2\.3'"
    ) as caught:
        compile_in_child(asked)
    assert caught.value.error_type == "artifact"


def needs_more(rows: Any) -> Any:
    import package_that_is_not_here as missing  # type: ignore[import-not-found] # noqa: PLC0415 - as users do

    return missing.answer(rows)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda rows: rows["x"].sum(), r"answered 1 rows with an array of shape \(\)"),
        (lambda rows: rows, r"answered 1 rows with an array of shape \(1, 3\)"),
        (lambda rows: [{"p": 1}] * len(rows), "only a number, a string or true or false is served"),
        (lambda rows: rows["no such column"], "KeyError: 'no such column'"),
        (lambda rows: [float("nan")] * len(rows), "it answered nan"),
        (needs_more, "No module named 'package_that_is_not_here'"),
    ],
    ids=["one for all", "three columns", "objects", "an error", "nan", "a package imported late"],
)
def test_a_model_that_answers_no_row_is_refused_with_what_it_said(
    log: Any, compiled: Any, function: Any, said: str
) -> None:
    log(function, signature=signature_like(MIXED))

    with pytest.raises(CompileError, match=said):
        compiled()


def test_a_column_no_row_can_name_is_refused_and_named(log: Any, compiled: Any) -> None:
    log(lambda rows: rows.iloc[:, 0], signature=signature_like(pd.DataFrame({"x": [1.0], 'say "hi"': [2.0]})))

    with pytest.raises(CompileError, match="column 'say \"hi\"' has a quote"):
        compiled()


@pytest.mark.parametrize(
    "example", [np.ones((2, 3, 4)), {"a": np.ones((2, 3)), "b": np.ones((2, 1))}], ids=["images", "several"]
)
def test_tensors_that_are_no_matrix_are_refused_with_the_remedy(log: Any, compiled: Any, example: Any) -> None:
    log(lambda rows: [0.5], signature=signature_like(example))

    with pytest.raises(CompileError, match=r"only one matrix without a name, of the shape \[-1, columns\]"):
        compiled()


def test_answers_of_several_types_are_refused(log: Any, compiled: Any) -> None:
    log(
        lambda rows: np.array([1.5 if at % 2 else "no" for at in range(len(rows))], object),
        signature=signature_like(MIXED),
    )

    with pytest.raises(CompileError, match="now with a number and now with a string"):
        compiled()
