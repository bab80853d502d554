"""Real models, compiled and asked again."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from modeling.pipelines import build_pipeline
from serving.bundle import Bundle, read_bundle
from serving.compile.errors import CompileError
from serving.compile.parity_rows import as_rows
from serving.engines.onnx import OnnxEngine
from serving.engines.original import OriginalModel
from serving.errors import EngineError
from serving.rows import Rows
from versioning.profile import ReferenceAnswers, build_profile

pytestmark = pytest.mark.slow

NUMBERS = ["hour", "distance", "delay", "wet"]
STRINGS = ["carrier", "origin"]


class MakeBundle(Protocol):
    def __call__(
        self, estimator: Any, frame: pd.DataFrame, *, nullable: Any = (), profile: Any = None
    ) -> tuple[Path, Bundle]: ...


def _with_strings(encoder: Any, model: Any) -> Pipeline:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return make_pipeline(ColumnTransformer([("n", numbers, NUMBERS), ("s", encoder, STRINGS)]), model)


def _one_hot(**options: Any) -> OneHotEncoder:
    return OneHotEncoder(**({"handle_unknown": "ignore", "sparse_output": False} | options))


def _rows(bundle: Bundle, frame: pd.DataFrame) -> Rows:
    plain = frame.astype(object)
    records = [{str(k): (None if pd.isna(v) else v) for k, v in row.items()} for row in plain.to_dict("records")]
    return as_rows(bundle.signature, records)


def _assert_same_answers(folder: Path, bundle: Bundle, estimator: Any, frame: pd.DataFrame) -> None:
    assert bundle.engine_reason == ""
    rows = _rows(bundle, frame)
    expected = OriginalModel(estimator, bundle.signature, bundle.classes).predict(rows)
    found = OnnxEngine(folder, bundle).predict(rows)
    if bundle.classes is None:
        np.testing.assert_allclose(np.array(found.predictions), np.array(expected.predictions), rtol=1e-9)
        return
    assert found.predictions == expected.predictions
    assert {type(label) for label in found.predictions} == {type(label) for label in bundle.classes}
    if expected.probabilities is None:
        assert found.probabilities is None
        return
    np.testing.assert_allclose(np.array(found.probabilities), np.array(expected.probabilities), atol=1e-9)


@pytest.mark.parametrize("model", ["logistic", "forest", "boosting"])
def test_every_model_of_the_zoo_on_flights_answers_alike(
    make_bundle: MakeBundle, flights: pd.DataFrame, late: "pd.Series[bool]", model: str
) -> None:
    estimator = build_pipeline(model, flights, "classifier", seed=0).fit(flights, late)

    folder, bundle = make_bundle(estimator, flights, nullable=STRINGS)

    _assert_same_answers(folder, bundle, estimator, flights)
    assert read_bundle(folder) == bundle
    assert bundle.parity is not None
    assert {"nulls", "unseen", "categories", "large_integers"} <= set(bundle.parity.kinds)
    assert set(bundle.latency.seconds_by_rows) == {1, 8, 64, 256}


@pytest.mark.parametrize("model", ["logistic", "forest", "boosting"])
def test_three_classes_with_string_labels_answer_alike(make_bundle: MakeBundle, model: str) -> None:
    iris = load_iris(as_frame=True)
    labels = np.array(iris.target_names)[iris.target]
    estimator = build_pipeline(model, iris.data, "classifier", seed=0).fit(iris.data, labels)

    folder, bundle = make_bundle(estimator, iris.data)

    assert bundle.classes == ["setosa", "versicolor", "virginica"]
    _assert_same_answers(folder, bundle, estimator, iris.data)


@pytest.mark.parametrize("trees", [2, 20, 49, 100])
def test_a_forest_breaks_ties_of_votes_as_the_original(make_bundle: MakeBundle, trees: int) -> None:
    cancer = load_breast_cancer(as_frame=True)
    noisy = cancer.target ^ (np.random.default_rng(0).random(len(cancer.target)) < 0.3)
    estimator = RandomForestClassifier(trees, random_state=0).fit(cancer.data, noisy)

    folder, bundle = make_bundle(estimator, cancer.data)

    votes = estimator.predict_proba(cancer.data)[:, 1]
    assert trees != 2 or (votes == 0.5).any()
    _assert_same_answers(folder, bundle, estimator, cancer.data)


@pytest.mark.parametrize(
    "estimator",
    [
        ExtraTreesClassifier(10, random_state=0),
        DecisionTreeClassifier(random_state=0),
        HistGradientBoostingClassifier(max_iter=10),
        make_pipeline(StandardScaler(), LogisticRegression()),
        LogisticRegression(solver="liblinear"),
        SVC(),
        KNeighborsClassifier(),
    ],
    ids=lambda each: type(each).__name__,
)
def test_other_classifiers_are_compiled_and_answer_alike(make_bundle: MakeBundle, estimator: Any) -> None:
    cancer = load_breast_cancer(as_frame=True)
    scaled = (cancer.data - cancer.data.mean()) / cancer.data.std()
    estimator.fit(scaled, cancer.target)

    folder, bundle = make_bundle(estimator, scaled)

    _assert_same_answers(folder, bundle, estimator, scaled)


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestRegressor(20, random_state=0),
        HistGradientBoostingRegressor(max_iter=20),
        HistGradientBoostingRegressor(max_iter=20, loss="poisson"),
        make_pipeline(StandardScaler(), LinearRegression()),
        Ridge(),
    ],
    ids=["forest", "boosting", "poisson", "linear", "ridge"],
)
def test_regressors_keep_the_digits_of_large_targets(make_bundle: MakeBundle, estimator: Any) -> None:
    diabetes = load_diabetes(as_frame=True)
    target = diabetes.target / 100 + 1e6
    estimator.fit(diabetes.data, target)

    folder, bundle = make_bundle(estimator, diabetes.data)

    assert bundle.task == "regressor"
    _assert_same_answers(folder, bundle, estimator, diabetes.data)


def test_a_graph_in_float32_fails_the_proof_where_it_loses_digits(make_bundle: MakeBundle) -> None:
    diabetes = load_diabetes(as_frame=True)
    estimator = GradientBoostingRegressor(n_estimators=20, random_state=0).fit(diabetes.data, diabetes.target + 1e7)

    folder, bundle = make_bundle(estimator, diabetes.data)

    assert bundle.engine == "process"
    assert "parity: on row" in bundle.engine_reason
    assert not (folder / "model.onnx").exists()


def test_boolean_labels_stay_boolean(make_bundle: MakeBundle, flights: pd.DataFrame, late: "pd.Series[bool]") -> None:
    estimator = _with_strings(_one_hot(), LogisticRegression()).fit(flights, late)

    folder, bundle = make_bundle(estimator, flights)

    assert bundle.classes == [False, True]
    _assert_same_answers(folder, bundle, estimator, flights)


def test_an_ordinal_encoder_becomes_a_table(
    make_bundle: MakeBundle, flights: pd.DataFrame, late: "pd.Series[bool]"
) -> None:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    estimator = _with_strings(encoder, RandomForestClassifier(10, random_state=0)).fit(flights, late)

    folder, bundle = make_bundle(estimator, flights)

    assert bundle.vocabulary is not None
    assert sorted(bundle.vocabulary[1]) == ["JFK", "LGA"]
    _assert_same_answers(folder, bundle, estimator, flights)


def test_a_null_string_is_what_the_models_own_imputer_makes_of_it(
    make_bundle: MakeBundle, flights: pd.DataFrame, late: "pd.Series[bool]"
) -> None:
    frame = flights.copy()
    frame.loc[::9, "carrier"] = np.nan
    encoder = make_pipeline(SimpleImputer(strategy="most_frequent"), _one_hot())
    estimator = _with_strings(encoder, LogisticRegression()).fit(frame, late)

    folder, bundle = make_bundle(estimator, frame, nullable=STRINGS)

    _assert_same_answers(folder, bundle, estimator, frame)


def test_a_null_that_was_a_category_in_training_answers_alike(
    make_bundle: MakeBundle, flights: pd.DataFrame, late: "pd.Series[bool]"
) -> None:
    frame = flights.copy()
    frame.loc[late, "carrier"] = np.nan
    estimator = _with_strings(_one_hot(), LogisticRegression()).fit(frame, late)

    folder, bundle = make_bundle(estimator, frame, nullable=STRINGS)

    _assert_same_answers(folder, bundle, estimator, frame)
    odd = frame.head(4).assign(carrier=["nan", "None", "", "zz"])
    _assert_same_answers(folder, bundle, estimator, odd)


def test_an_unseen_word_is_refused_where_the_model_refuses_it(
    make_bundle: MakeBundle, flights: pd.DataFrame, late: "pd.Series[bool]"
) -> None:
    estimator = _with_strings(_one_hot(handle_unknown="error"), LogisticRegression()).fit(flights, late)

    folder, bundle = make_bundle(estimator, flights)
    engine = OnnxEngine(folder, bundle)

    _assert_same_answers(folder, bundle, estimator, flights)
    with pytest.raises(EngineError, match="failed on these rows"):
        engine.predict(_rows(bundle, flights.head(1).assign(carrier="never seen")))


def test_a_null_is_refused_by_name_where_the_model_refuses_it(make_bundle: MakeBundle) -> None:
    iris = load_iris(as_frame=True)
    estimator = LogisticRegression(max_iter=1000).fit(iris.data, iris.target)

    folder, bundle = make_bundle(estimator, iris.data)
    nulls = iris.data.head(2).assign(**{"petal width (cm)": [0.2, np.nan]})

    assert bundle.engine == "onnx"
    with pytest.raises(EngineError, match=r"null in 'petal width \(cm\)'"):
        OnnxEngine(folder, bundle).predict(_rows(bundle, nulls))


def test_text_goes_to_the_process_engine_with_the_reason(
    make_bundle: MakeBundle, flights: pd.DataFrame, late: "pd.Series[bool]"
) -> None:
    words = flights[["carrier"]].rename(columns={"carrier": "text"})
    estimator = make_pipeline(ColumnTransformer([("t", TfidfVectorizer(), "text")]), LogisticRegression()).fit(
        words, late
    )

    folder, bundle = make_bundle(estimator, words)

    assert bundle.engine == "process"
    assert "strings of 'text'" in bundle.engine_reason
    assert (folder / "model" / "MLmodel").exists()


def test_a_model_that_cannot_answer_its_example_makes_no_bundle(make_bundle: MakeBundle, tmp_path: Path) -> None:
    iris = load_iris(as_frame=True)
    estimator = LogisticRegression(max_iter=1000).fit(iris.data, iris.target)

    with pytest.raises(CompileError, match="cannot answer a single row"):
        make_bundle(estimator, iris.data.iloc[:, :2])
    assert list((tmp_path / "bundles").iterdir()) == []


def test_columns_are_found_by_name_whatever_their_order(
    make_bundle: MakeBundle, flights: pd.DataFrame, late: "pd.Series[bool]"
) -> None:
    estimator = _with_strings(_one_hot(), LogisticRegression()).fit(flights, late)
    turned = flights[flights.columns[::-1]]

    folder, bundle = make_bundle(estimator, turned)

    _assert_same_answers(folder, bundle, estimator, turned)


def test_one_row_and_many_rows_get_the_same_answers(
    make_bundle: MakeBundle, flights: pd.DataFrame, late: "pd.Series[bool]"
) -> None:
    folder, bundle = make_bundle(
        _with_strings(_one_hot(), RandomForestClassifier(10, random_state=0)).fit(flights, late), flights
    )
    engine = OnnxEngine(folder, bundle)
    together = engine.predict(_rows(bundle, flights.head(20)))

    alone = [engine.predict(_rows(bundle, flights.iloc[[at]])) for at in range(20)]

    assert [one.predictions[0] for one in alone] == together.predictions
    assert [one.probabilities[0] for one in alone if one.probabilities] == together.probabilities


def test_the_proof_takes_its_rows_from_the_profile(
    make_bundle: MakeBundle, flights: pd.DataFrame, late: "pd.Series[bool]"
) -> None:
    estimator = build_pipeline("logistic", flights, "classifier", seed=0).fit(flights, late)
    answers = ReferenceAnswers("classifier", estimator.predict(flights), late.to_numpy(), classes=[False, True])
    profile = build_profile({str(name): flights[name].to_numpy() for name in flights}, answers)

    folder, bundle = make_bundle(estimator, flights, nullable=STRINGS, profile=profile)

    assert bundle.parity is not None
    assert bundle.parity.kinds[0] == "profile"
    assert "example" in bundle.parity.kinds
    _assert_same_answers(folder, bundle, estimator, flights)


def test_no_rows_get_no_answers(make_bundle: MakeBundle) -> None:
    iris = load_iris(as_frame=True)
    folder, bundle = make_bundle(LogisticRegression(max_iter=1000).fit(iris.data, iris.target), iris.data)

    assert OnnxEngine(folder, bundle).predict(Rows(np.empty((0, 4)), [])).predictions == []


def test_a_damaged_graph_is_an_engine_error(make_bundle: MakeBundle) -> None:
    iris = load_iris(as_frame=True)
    folder, bundle = make_bundle(LogisticRegression(max_iter=1000).fit(iris.data, iris.target), iris.data)
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:100])

    with pytest.raises(EngineError, match="not a usable ONNX model"):
        OnnxEngine(folder, bundle)


def test_a_closed_engine_says_so(make_bundle: MakeBundle) -> None:
    iris = load_iris(as_frame=True)
    folder, bundle = make_bundle(LogisticRegression(max_iter=1000).fit(iris.data, iris.target), iris.data)
    engine = OnnxEngine(folder, bundle)
    engine.close()
    engine.close()

    with pytest.raises(EngineError, match="closed"):
        engine.predict(_rows(bundle, iris.data.head(1)))
