"""Settings: what they accept, and what they make of it."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from versioning.settings import VersioningSettings, public_address


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in VersioningSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_the_default_registry_is_a_file_of_ours_by_its_absolute_path(tmp_path: Path) -> None:
    settings = VersioningSettings()

    assert settings.own_registry
    assert settings.tracking_uri == f"sqlite:///{tmp_path}/var/mlflow.db"
    assert settings.artifact_root == tmp_path / "var" / "mlartifacts"


def test_a_registry_in_the_environment_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")

    assert not VersioningSettings().own_registry
    assert VersioningSettings().tracking_uri == "http://mlflow:5000"


def test_an_empty_registry_is_the_default_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")

    assert VersioningSettings().own_registry


def test_lists_are_split_at_commas_without_blanks_and_repeats() -> None:
    settings = VersioningSettings(shadow_aliases=" shadow, next,,shadow ", allow_pickle="churn , iris")

    assert settings.shadow_alias_names == ("shadow", "next")
    assert settings.pickle_models == {"churn", "iris"}


def test_no_shadow_at_all_is_allowed() -> None:
    assert VersioningSettings(shadow_aliases="").shadow_alias_names == ()


@pytest.mark.parametrize("aliases", ["latest", "v1", "a b"])
def test_an_alias_that_no_registry_takes_is_refused_at_the_start(aliases: str) -> None:
    with pytest.raises(ValidationError, match="cannot be used"):
        VersioningSettings(shadow_aliases=aliases)
    with pytest.raises(ValidationError, match="cannot be used"):
        VersioningSettings(production_alias=aliases)


@pytest.mark.parametrize(("production", "shadows"), [("shadow", "shadow"), ("", "shadow")])
def test_production_is_one_alias_that_is_no_shadow(production: str, shadows: str) -> None:
    with pytest.raises(ValidationError, match="PRODUCTION_ALIAS"):
        VersioningSettings(production_alias=production, shadow_aliases=shadows)


def test_a_secret_key_is_not_printed() -> None:
    assert "hush" not in repr(VersioningSettings(aws_secret_access_key="hush"))


def test_a_password_in_an_address_is_not_shown() -> None:
    assert public_address("http://me:hush@host:5000/x@y") == "http://host:5000/x@y"
