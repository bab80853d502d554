"""Compiles the models of the HTTP tests into the folder given: a process of its own, as in production."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from serving.compile.build import Subject, build
from serving.compile.request import CompileRequest
from serving.signature import Column, Signature

OUT = Path(sys.argv[1])
COLOURS = Column("colour", "string", nullable=True, dtype="string")


def compile_one(name: str, version: str, estimator: Any, signature: Signature, example: dict[str, Any]) -> None:
    source = OUT / "source"
    source.mkdir(parents=True, exist_ok=True)
    (source / "MLmodel").write_text("flavors: {}\n")
    request = CompileRequest(
        source=str(source),
        out=str(OUT / name / f"{version}-abc"),
        model_name=name,
        model_version=version,
        digest="abc",
        metrics={"training_accuracy": 0.75},
    )
    bundle = build(request, Subject(estimator, signature, [example]), datetime.now(UTC))
    assert bundle.engine == "onnx", bundle.engine_reason


def one_hot() -> OneHotEncoder:
    return OneHotEncoder(handle_unknown="ignore", sparse_output=False)


def iris() -> None:
    frame, target = load_iris(return_X_y=True, as_frame=True)
    columns = tuple(Column(str(name), "float") for name in frame.columns)
    example = {str(name): float(value) for name, value in frame.iloc[0].items()}
    for version, strength in (("1", 1.0), ("2", 0.01)):
        estimator = LogisticRegression(C=strength, max_iter=1000).fit(frame, target)
        compile_one("iris", version, estimator, Signature(columns), example)
    coloured = frame.assign(colour=pd.array(["red", "blue", "blue"] * 50, dtype=pd.StringDtype(na_value=np.nan)))
    encode = make_column_transformer((StandardScaler(), list(frame.columns)), (one_hot(), ["colour"]))
    estimator = make_pipeline(encode, LogisticRegression(max_iter=5000)).fit(coloured, target)
    compile_one("iris", "3", estimator, Signature((*columns, COLOURS)), {**example, "colour": "red"})


def trips() -> None:
    random = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "hour": random.integers(0, 24, 300),
            "carrier": pd.array(random.choice(["AA", "UA", "東"], 300), dtype=pd.StringDtype(na_value=np.nan)),
            "distance km": random.normal(1000, 300, 300),
            "wet": random.random(300) < 0.5,
        }
    )
    late = np.where(frame["hour"] + 8 * frame["wet"] > 16, "late", "on time")
    encode = make_column_transformer((StandardScaler(), ["hour", "distance km", "wet"]), (one_hot(), ["carrier"]))
    columns = (
        Column("hour", "integer", dtype="long"),
        Column("carrier", "string", nullable=True, dtype="string"),
        Column("distance km", "float"),
        Column("wet", "boolean", dtype="boolean"),
    )
    estimator = make_pipeline(encode, LogisticRegression(max_iter=5000)).fit(frame.fillna({"carrier": "AA"}), late)
    example = {"hour": 20, "carrier": "AA", "distance km": 900.5, "wet": True}
    compile_one("trips", "1", estimator, Signature(columns), example)


def price() -> None:
    random = np.random.default_rng(7)
    frame = pd.DataFrame({"rooms": random.integers(1, 9, 300), "area": random.normal(100, 30, 300)})
    estimator = LinearRegression().fit(frame, 3.0 * frame["rooms"] + 2.0 * frame["area"])
    columns = (Column("rooms", "integer", dtype="long"), Column("area", "float"))
    compile_one("price", "1", estimator, Signature(columns), {"rooms": 3, "area": 80.0})


if __name__ == "__main__":
    iris()
    trips()
    price()
