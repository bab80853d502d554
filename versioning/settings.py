"""What a user may set about the registry, the artifacts and what may be loaded."""

import re
from pathlib import Path
from typing import Final, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from versioning.registry import check_alias


class VersioningSettings(BaseSettings):
    """Read once from the environment and `.env`, then frozen."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    data_dir: Path = Field(default=Path("var"), description="Folder of everything Understudy keeps on this machine.")
    mlflow_tracking_uri: str | None = Field(
        default=None,
        description="MLflow server or store, e.g. http://localhost:5000; empty: our own SQLite file under DATA_DIR.",
    )
    production_alias: str = Field(default="production", description="Registry alias of the version that answers.")
    shadow_aliases: str = Field(
        default="shadow", description="Registry aliases of the versions that answer in the dark, separated by commas."
    )
    registry_timeout_seconds: float = Field(
        default=10.0, gt=0, description="Seconds one call to the registry may take before it counts as unavailable."
    )
    artifact_max_bytes: int = Field(
        default=2 * 1024**3, gt=0, description="Largest model, in bytes over all its files, that is fetched."
    )
    allow_pickle: str = Field(
        default="",
        description="Model names, separated by commas, that may be loaded from pickle or pyfunc: this runs their code.",
    )
    trusted_types: str = Field(
        default="",
        description="Types to trust in skops files beside our own list, as module.Name, separated by commas.",
    )
    mlflow_s3_endpoint_url: str | None = Field(
        default=None, description="S3 endpoint of the models' files, e.g. http://localhost:9000 for MinIO."
    )
    aws_access_key_id: str | None = Field(default=None, description="S3 access key; empty: boto3's own search.")
    aws_secret_access_key: SecretStr | None = Field(
        default=None, description="S3 secret key; empty: boto3's own search."
    )
    aws_default_region: str | None = Field(default=None, description="S3 region; empty: boto3's own search.")

    @field_validator("production_alias", "shadow_aliases")
    @classmethod
    def _aliases_are_usable(cls, value: str) -> str:
        for alias in _names(value):
            check_alias(alias)
        return value

    @model_validator(mode="after")
    def _roles_differ(self) -> Self:
        if not self.production_alias or self.production_alias in self.shadow_alias_names:
            raise ValueError("PRODUCTION_ALIAS must name one alias that is not among SHADOW_ALIASES")
        return self

    @property
    def tracking_uri(self) -> str:
        """The store in use; a file of ours is named by its absolute path."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.data_dir.absolute() / 'mlflow.db'}"

    @property
    def own_registry(self) -> bool:
        """Whether the registry is our own file, so that first models may be put into it."""
        return not self.mlflow_tracking_uri

    @property
    def artifact_root(self) -> Path:
        """Where our own registry keeps models' files (`mlflow server --default-artifact-root`); absolute."""
        return self.data_dir.absolute() / "mlartifacts"

    @property
    def shadow_alias_names(self) -> tuple[str, ...]:
        return _names(self.shadow_aliases)

    @property
    def pickle_models(self) -> frozenset[str]:
        return frozenset(_names(self.allow_pickle))

    @property
    def extra_trusted_types(self) -> frozenset[str]:
        return frozenset(_names(self.trusted_types))


TRUST_FILE: Final = "trust.json"
"""In DATA_DIR: the digests seen first, per model and version."""


def public_address(uri: str) -> str:
    """The address without a password in it, for messages and files."""
    return re.sub(r"//[^/@]*@", "//", uri)


def _names(text: str) -> tuple[str, ...]:
    """Splits a comma list, without blanks and repeats, in order."""
    return tuple(dict.fromkeys(name for part in text.split(",") if (name := part.strip())))
