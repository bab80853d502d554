"""What the compile child is asked and what it answers, as JSON. Free of scikit-learn: the loader imports it."""

from datetime import datetime
from typing import Literal

import msgspec


class CompileRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One model version to compile.

    Attributes:
        source: Folder of the fetched MLflow model (with its `MLmodel`).
        out: Bundle folder to be made, on one file system with its parent; must not exist.
        digest: SHA-256 over the model's files.
        profile: Path of the run's `profile.json`, if it has one.
        trained_at: When the version was trained.
        metrics: Of the run, copied into the bundle.
    """

    source: str
    out: str
    model_name: str
    model_version: str
    digest: str
    profile: str | None = None
    run_id: str | None = None
    trained_at: datetime | None = None
    metrics: dict[str, float] = {}


class CompileResult(msgspec.Struct, frozen=True, kw_only=True):
    """The child's last line on standard output.

    Attributes:
        error_type: None where the bundle was written to `out`; else e.g. `compile`, `artifact`, `forbidden_model`.
        message: What to tell the user, where there is an error.
        engine_reason: Why the engine is `process`.
    """

    error_type: str | None = None
    message: str = ""
    engine: Literal["onnx", "process"] | None = None
    engine_reason: str = ""
    seconds: float = 0.0
