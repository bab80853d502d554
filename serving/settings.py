"""Settings of everything that answers or prepares answers, read once from the environment and `.env`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class ServingSettings(BaseSettings):
    """Frozen; a process reads it once at start."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    data_dir: Path = Field(Path("var"), description="Folder for everything Understudy writes on this machine.")
    models: Annotated[tuple[str, ...], NoDecode] = Field(
        ("flights",),
        description="Models to serve, comma-separated: name (its production alias), name@alias or name/version. "
        "The first is what /predict answers with.",
    )
    api_host: str = Field("127.0.0.1", description="Address the API listens on; others than loopback need API keys.")
    api_port: int = Field(8000, description="Port of the API.", ge=0, le=65535)
    workers: int = Field(1, description="API worker processes on this host.", ge=1, le=256)
    fast_path: bool = Field(
        default=True,
        description="Answer /predict ahead of FastAPI's router; false sends it through the ordinary route.",
    )
    extra_fields: Literal["refuse", "ignore"] = Field(
        "refuse", description="What /predict does with a field no loaded model knows: refuse (422) or ignore."
    )
    reload_seconds: float = Field(
        0.25, description="How often a worker looks for a newly published bundle, in seconds.", gt=0
    )
    max_body_bytes: int = Field(10_485_760, description="Largest request body, in bytes (413 above).", gt=0)
    max_batch_rows: int = Field(10_000, description="Most rows in one request (413 above).", gt=0)
    max_json_depth: int = Field(16, description="Deepest nesting of a JSON body (413 above).", gt=1)
    max_in_flight: int = Field(2_000, description="Most requests one worker holds at once (429 above).", gt=0)
    rate_limit_per_second: float = Field(
        0.0, description="Requests a second each API key may make, per worker (429 above); 0 is no limit.", ge=0
    )
    api_keys_file: Path | None = Field(
        None, description="File of API keys (made by `understudy keys create`); default DATA_DIR/api-keys.json."
    )
    production_alias: str = Field("production", description="Registry alias of the version that answers callers.")
    shadow_aliases: Annotated[tuple[str, ...], NoDecode] = Field(
        ("shadow",), description="Registry aliases of the versions that answer unseen, comma-separated."
    )
    loader_poll_seconds: float = Field(
        5.0, description="How often the loader reads the aliases from the registry, in seconds.", gt=0
    )
    compile_timeout_seconds: float = Field(
        600.0, description="Longest time one model may take to be compiled and proven, in seconds.", gt=0
    )
    keep_unused_bundles: int = Field(
        5, description="Compiled versions without a role kept per model, newest first, for a quick way back.", ge=1
    )
    engine_timeout_seconds: float = Field(
        10.0, description="Longest wait for an answer of a model that runs in a process of its own, in seconds.", gt=0
    )
    model_hang_seconds: int = Field(
        60, description="A model process that works longer on one batch is ended and restarted, in seconds.", ge=1
    )
    shadow_backfill_hours: float = Field(
        1.0, description="How far back a version that is new in the shadow begins to answer, in hours.", ge=0
    )
    shadow_fraction: float = Field(
        1.0, description="Share of production events a shadow answers, chosen by event id; 1 is all.", ge=0, le=1
    )
    shadow_batch_rows: int = Field(256, description="Most rows a shadow answers in one call.", ge=1, le=10_000)

    @field_validator("models", "shadow_aliases", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @property
    def bundles_dir(self) -> Path:
        """Where the loader publishes and workers read."""
        return self.data_dir / "bundles"

    @property
    def run_dir(self) -> Path:
        """Sockets and process state."""
        return self.data_dir / "run"

    @property
    def keys_file(self) -> Path:
        """Where the API keys are kept."""
        return self.api_keys_file or self.data_dir / "api-keys.json"
