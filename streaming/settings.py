"""Settings of the log, the store and their readers, read once from the environment and `.env`."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class StreamingSettings(BaseSettings):
    """What an operator may change about the log and the store; the environment name is the field's in capitals."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    data_dir: Path = Field(default=Path("var"), description="Folder of everything Understudy keeps on this machine.")

    # the segment log
    durability: Literal["os", "disk", "none"] = Field(
        default="os",
        description="When an answer is sent: os = the event is with the kernel (survives kill -9 of any process), "
        "disk = it is on the device (survives a power cut), none = it is in memory.",
    )
    max_event_bytes: int = Field(
        default=262_144, ge=1024, description="Largest event in bytes; a larger one is refused with 413."
    )
    log_segment_bytes: int = Field(
        default=67_108_864, ge=4096, description="Size in bytes at which the log begins a new segment file."
    )
    log_segment_seconds: float = Field(
        default=3600.0, gt=0, description="Age in seconds at which the log begins a new segment file."
    )
    log_max_bytes: int = Field(
        default=5_000_000_000, ge=4096, description="Most bytes the log may take on disk before it answers 503."
    )
    log_reserve_bytes: int = Field(
        default=1_000_000_000, ge=0, description="Bytes of the disk the log always leaves free."
    )
    log_retention_days: float = Field(
        default=7.0, gt=0, description="Days a segment is kept after the required reader has read it."
    )
    log_required_group: str = Field(
        default="indexer", description="Name of the one reader without whose commit nothing is deleted from the log."
    )

    # the event store and the reader loop
    store_retention_days: int = Field(
        default=30, ge=1, description="Days a stored event is kept; whole days are deleted, control events never."
    )
    store_max_bytes: int = Field(
        default=10_000_000_000, ge=1_000_000, description="Most bytes the store may take before its oldest days go."
    )
    max_consecutive_dead_letters: int = Field(
        default=100, ge=1, description="Dead letters in a row at which a reader stops and waits for a person."
    )
    private_columns: str = Field(
        default="", description="Comma-separated feature columns that never reach the store or the dead letters."
    )

    @property
    def log_dir(self) -> Path:
        """Folder of the segment log."""
        return self.data_dir / "log"

    @property
    def store_dir(self) -> Path:
        """Folder of the embedded event store."""
        return self.data_dir / "store"

    @property
    def private_column_names(self) -> frozenset[str]:
        """`private_columns` as names."""
        return frozenset(name.strip() for name in self.private_columns.split(",") if name.strip())
