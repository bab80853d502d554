"""Frames like the ones users have, and a bundle made of any estimator in one call."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serving.bundle import Bundle
from serving.compile.build import Subject, build
from serving.compile.request import CompileRequest
from serving.signature import Column, Signature
from versioning.profile import Profile

NOW = datetime(2026, 11, 21, tzinfo=UTC)
BuildBundle = Callable[..., tuple[Path, Bundle]]


@pytest.fixture(scope="session")
def flights() -> pd.DataFrame:
    """Integers, floats with nulls, a boolean and two string columns."""
    random = np.random.default_rng(7)
    rows = 1200
    frame = pd.DataFrame(
        {
            "hour": random.integers(0, 24, rows),
            "carrier": pd.array(
                random.choice(["AA", "UA", "DL", "Ünïcode 東"], rows), dtype=pd.StringDtype(na_value=np.nan)
            ),
            "distance": random.normal(1000, 300, rows),
            "origin": pd.array(random.choice(["JFK", "LGA"], rows), dtype=pd.StringDtype(na_value=np.nan)),
            "delay": random.normal(0, 30, rows),
            "wet": random.random(rows) < 0.5,
        }
    )
    frame.loc[::17, "delay"] = np.nan
    return frame


@pytest.fixture(scope="session")
def late(flights: pd.DataFrame) -> "pd.Series[bool]":
    return flights["delay"].fillna(0) + flights["hour"] + 5 * (flights["carrier"] == "AA") > 15


def signature_of_frame(frame: pd.DataFrame, nullable: Sequence[str] = ()) -> Signature:
    kinds = {"f": ("float", "double"), "i": ("integer", "long"), "b": ("boolean", "boolean")}
    columns = []
    for name in frame:
        kind, dtype = kinds.get(frame[name].dtype.kind, ("string", "string"))
        columns.append(Column(str(name), kind, nullable=kind == "float" or name in nullable, dtype=dtype))  # type: ignore[arg-type]
    return Signature(tuple(columns))


def rows_of_frame(frame: pd.DataFrame, count: int) -> list[dict[str, Any]]:
    plain = frame.head(count).astype(object)
    return [{str(k): (None if pd.isna(v) else v) for k, v in row.items()} for row in plain.to_dict("records")]


@pytest.fixture
def make_bundle(tmp_path: Path) -> BuildBundle:
    """`make_bundle(fitted, frame, nullable=…)` → (folder, bundle)."""

    def make(
        estimator: Any, frame: pd.DataFrame, *, nullable: Sequence[str] = (), profile: Profile | None = None
    ) -> tuple[Path, Bundle]:
        source = tmp_path / "source"
        source.mkdir()
        (source / "MLmodel").write_text("flavors: {}\n")
        out = tmp_path / "bundles" / "1-abc"
        request = CompileRequest(source=str(source), out=str(out), model_name="m", model_version="1", digest="abc")
        subject = Subject(estimator, signature_of_frame(frame, nullable), rows_of_frame(frame, 5), profile)
        return out, build(request, subject, NOW)

    return make
