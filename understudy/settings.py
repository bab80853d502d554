"""The front door's settings, read once from the environment and `.env`."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class UnderstudySettings(BaseSettings):
    """Logging, the MLflow UI and how the supervisor treats its processes."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    data_dir: Path = Field(default=Path("var"), description="Folder for everything Understudy writes.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least severe log event that is written."
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="How a log event is written: a line for people, or one JSON object a line."
    )
    mlflow_ui: bool = Field(default=True, description="Whether `understudy up` also serves the MLflow UI.")
    mlflow_port: int = Field(
        default=5000, ge=1, le=65535, description="Port of the MLflow UI; 5050 is used where the default is taken."
    )
    stop_grace_seconds: float = Field(
        default=15.0, gt=0, description="Seconds a process has to stop cleanly before it is killed."
    )
    ready_timeout_seconds: float = Field(
        default=120.0, gt=0, description="Seconds `understudy up` waits for the first model to answer."
    )
