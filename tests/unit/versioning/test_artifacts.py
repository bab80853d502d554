"""Fetching from disk and from a run, all or nothing, and the pin of what was seen first."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from versioning.artifacts import fetch_model
from versioning.errors import ArtifactError, NotFoundError
from versioning.memory import MemoryRegistry
from versioning.memory_tracking import MemoryTracking
from versioning.mlmodel import ColumnSpec
from versioning.pins import digest_of, pin_digest
from versioning.registry import ModelVersion
from versioning.settings import VersioningSettings
from versioning.tracking import PARITY_ROWS_FILE, PROFILE_FILE
from versioning.trust import TrustPolicy, load_sklearn


@pytest.fixture
def registry() -> MemoryRegistry:
    return MemoryRegistry()


@pytest.fixture
def version(registry: MemoryRegistry, skops_model: Path) -> ModelVersion:
    return registry.register("churn", str(skops_model))


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "fetched" / "churn-1"


def test_a_version_on_disk_is_fetched_with_its_digest(
    version: ModelVersion, settings: VersioningSettings, skops_model: Path, into: Path
) -> None:
    fetched = fetch_model(version, settings, into)

    assert fetched.folder == into / "model"
    assert fetched.digest == digest_of(skops_model)
    assert fetched.mlmodel.loader == "skops"
    assert (fetched.profile, fetched.parity_rows, fetched.run) == (None, None, None)
    assert load_sklearn(fetched.folder, TrustPolicy("churn")).n_estimators == 3


def test_a_file_address_may_hold_blanks(
    registry: MemoryRegistry, settings: VersioningSettings, skops_model: Path, into: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(skops_model, tmp_path / "with blank ä")

    assert fetch_model(registry.register("churn", moved.as_uri()), settings, into).digest == digest_of(skops_model)


def test_run_and_files_come_with_the_model(
    registry: MemoryRegistry, settings: VersioningSettings, estimator: Any, into: Path
) -> None:
    tracking = MemoryTracking()
    with tracking.start_run("e", "r") as run:
        run.log_file(PROFILE_FILE, b'{"rows": 1}')
        run.log_file(PARITY_ROWS_FILE, b"[]")
        run.log_metrics({"evaluation_accuracy": 0.9})
        columns = (ColumnSpec("length", "double"), ColumnSpec("count", "long"))
        address = run.log_model(estimator, columns=columns, example=pd.DataFrame({"length": [0.5], "count": [1]}))

    fetched = fetch_model(registry.register("churn", address, run_id=run.run_id), settings, into, tracking=tracking)

    assert fetched.profile == into / PROFILE_FILE
    assert fetched.profile.read_bytes() == b'{"rows": 1}'
    assert fetched.parity_rows == into / PARITY_ROWS_FILE
    assert fetched.run is not None
    assert fetched.run.metrics == {"evaluation_accuracy": 0.9}


def test_a_version_whose_run_was_deleted_is_fetched_without_it(
    registry: MemoryRegistry, settings: VersioningSettings, skops_model: Path, into: Path
) -> None:
    version = registry.register("churn", str(skops_model), run_id="gone")

    assert fetch_model(version, settings, into, tracking=MemoryTracking()).run is None


def test_other_files_under_the_same_version_are_refused(
    version: ModelVersion, settings: VersioningSettings, skops_model: Path, into: Path
) -> None:
    fetch_model(version, settings, into)
    (skops_model / "model.skops").write_bytes(b"something else")

    with pytest.raises(ArtifactError, match=r"not those seen first.*trust\.json"):
        fetch_model(version, settings, into.with_name("again"))

    assert [path.name for path in into.parent.iterdir()] == [into.name]


def test_swapped_files_change_the_digest(skops_model: Path) -> None:
    before = digest_of(skops_model)
    (skops_model / "MLmodel").rename(skops_model / "x")
    (skops_model / "model.skops").rename(skops_model / "MLmodel")
    (skops_model / "x").rename(skops_model / "model.skops")

    assert digest_of(skops_model) != before


def test_a_digest_depends_on_names_and_contents_only(skops_model: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(skops_model, tmp_path / "copy")
    os.utime(copy / "MLmodel", (1, 1))

    assert digest_of(copy) == digest_of(skops_model)
    (copy / "empty").touch()
    assert digest_of(copy) != digest_of(skops_model)


def test_contents_cannot_pass_for_another_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "a").write_bytes(b"1:b:")
    for name in ("a", "b"):
        (tmp_path / "two" / name).touch()

    assert digest_of(tmp_path / "one") != digest_of(tmp_path / "two")


def test_the_same_version_of_another_registry_is_another_model(
    version: ModelVersion, settings: VersioningSettings
) -> None:
    pin_digest(settings, version, "a" * 64)

    pin_digest(settings.model_copy(update={"mlflow_tracking_uri": "http://elsewhere.invalid"}), version, "b" * 64)
    with pytest.raises(ArtifactError):
        pin_digest(settings, version, "b" * 64)


def test_no_password_is_written_into_the_pins(version: ModelVersion, settings: VersioningSettings) -> None:
    secret = settings.model_copy(update={"mlflow_tracking_uri": "http://me:hush@registry.invalid"})

    pin_digest(secret, version, "a" * 64)

    assert "hush" not in (settings.data_dir / "trust.json").read_text()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": '])
def test_corrupt_pins_trust_nobody(version: ModelVersion, settings: VersioningSettings, content: str) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / "trust.json").write_text(content)

    with pytest.raises(ArtifactError, match=r"trust\.json is corrupt"):
        pin_digest(settings, version, "a" * 64)

    assert (settings.data_dir / "trust.json").read_text() == content


def test_a_pin_outlives_a_writer_that_was_killed(version: ModelVersion, settings: VersioningSettings) -> None:
    pin_digest(settings, version, "a" * 64)
    (settings.data_dir / "trust.99999.draft").write_text("{")

    pin_digest(settings, version, "a" * 64)

    assert json.loads((settings.data_dir / "trust.json").read_text())


def test_a_model_over_the_limit_is_not_copied(version: ModelVersion, settings: VersioningSettings, into: Path) -> None:
    with pytest.raises(ArtifactError, match="ARTIFACT_MAX_BYTES=10"):
        fetch_model(version, settings.model_copy(update={"artifact_max_bytes": 10}), into)

    assert list(into.parent.iterdir()) == []


def test_files_that_are_not_there_are_named(
    registry: MemoryRegistry, settings: VersioningSettings, into: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"

    with pytest.raises(NotFoundError, match=str(gone)):
        fetch_model(registry.register("churn", str(gone)), settings, into)

    assert list(into.parent.iterdir()) == []


def test_a_pipe_among_the_files_does_not_block(
    version: ModelVersion, settings: VersioningSettings, skops_model: Path, into: Path
) -> None:
    os.mkfifo(skops_model / "pipe")

    with pytest.raises(ArtifactError, match="neither a file nor a folder"):
        fetch_model(version, settings, into)


def test_files_that_are_no_model_are_refused_and_not_pinned(
    registry: MemoryRegistry, settings: VersioningSettings, into: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("no model")

    with pytest.raises(ArtifactError, match="no MLmodel"):
        fetch_model(registry.register("churn", str(other)), settings, into)

    assert list(into.parent.iterdir()) == []
    assert not (settings.data_dir / "trust.json").exists()


def test_what_a_killed_fetch_left_is_cleared(version: ModelVersion, settings: VersioningSettings, into: Path) -> None:
    left = into.parent / f".{into.name}.part" / "model"
    left.mkdir(parents=True)
    (left / "half").write_text("half")

    fetched = fetch_model(version, settings, into)

    assert not (fetched.folder / "half").exists()
    assert [path.name for path in into.parent.iterdir()] == [into.name]
