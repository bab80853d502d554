"""MemoryTracking: the twin of the runs, for tests and experiments; it forgets everything with its process."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import yaml  # type: ignore[import-untyped] # ships no types

from versioning.errors import ArtifactError, ConflictError, ForbiddenModelError, NotFoundError
from versioning.mlmodel import ColumnSpec
from versioning.tracking import Run, RunRecord
from versioning.trust import TRUSTED_TYPES, audit_types, skops_file, unusable_types

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class _Kept:
    """All that is kept; models are folders as MLflow would have written them: name to content."""

    runs: dict[str, RunRecord] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    models: dict[str, dict[str, bytes]] = field(default_factory=dict)


class MemoryTracking:
    """Thread-safe. Its models are real: `fetch_model` and `load_sklearn` take them like those of MLflow."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._lock = Lock()
        self._kept = _Kept()

    @contextmanager
    def start_run(self, experiment: str, name: str, *, tags: Mapping[str, str] | None = None) -> Iterator[Run]:
        run_id = uuid4().hex
        with self._lock:
            self._kept.runs[run_id] = RunRecord(run_id, experiment, name, self._clock(), None, tags=dict(tags or {}))
            self._kept.files[run_id] = {}
        try:
            yield _MemoryRun(self._kept, self._lock, run_id)
        finally:
            with self._lock:
                self._kept.runs[run_id] = replace(self._kept.runs[run_id], ended_at=self._clock())

    def read_run(self, run_id: str) -> RunRecord:
        try:
            return self._kept.runs[run_id]
        except KeyError:
            raise NotFoundError(f"no run {run_id!r}") from None

    def read_file(self, run_id: str, name: str, *, limit_bytes: int) -> bytes | None:
        self.read_run(run_id)
        content = self._kept.files[run_id].get(name)
        if content is not None and len(content) > limit_bytes:
            raise ArtifactError(f"file {name!r} is {len(content)} bytes, more than the {limit_bytes} allowed")
        return content

    def resolve(self, address: str) -> str:
        if address not in self._kept.models:
            raise NotFoundError(f"no model {address!r}")
        return address

    def download(self, address: str, into: Path, *, limit_bytes: int) -> None:
        files = self._kept.models[self.resolve(address)]
        size = sum(map(len, files.values()))
        if size > limit_bytes:
            raise ArtifactError(f"model {address!r} is {size} bytes, more than the {limit_bytes} allowed")
        for name, content in files.items():
            (into / name).write_bytes(content)


class _MemoryRun:
    def __init__(self, kept: _Kept, lock: Lock, run_id: str) -> None:
        self._kept = kept
        self._lock = lock
        self._run_id = run_id

    @property
    def run_id(self) -> str:
        return self._run_id

    def log_params(self, params: Mapping[str, str | int | float | bool | None]) -> None:
        texts = {name: str(value) for name, value in params.items()}
        with self._lock:
            logged = self._record.params
            changed = [name for name, text in texts.items() if logged.get(name, text) != text]
            if changed:
                raise ConflictError(f"parameters {changed} of run {self._run_id} were logged before with other values")
            self._kept.runs[self._run_id] = replace(self._record, params={**logged, **texts})

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        with self._lock:
            self._kept.runs[self._run_id] = replace(self._record, metrics={**self._record.metrics, **metrics})

    def set_tags(self, tags: Mapping[str, str]) -> None:
        with self._lock:
            self._kept.runs[self._run_id] = replace(self._record, tags={**self._record.tags, **tags})

    def log_file(self, name: str, content: bytes) -> None:
        with self._lock:
            self._kept.files[self._run_id][name] = content

    def log_model(self, estimator: Any, *, columns: Sequence[ColumnSpec], example: "pd.DataFrame") -> str:
        refused = sorted(set(audit_types(estimator)) - TRUSTED_TYPES)
        if refused:
            raise ForbiddenModelError(f"this estimator could not be loaded again: {unusable_types(refused)}")
        address = f"memory:/{uuid4().hex}"
        with self._lock:
            self._kept.models[address] = {
                "MLmodel": yaml.safe_dump(_mlmodel(columns)).encode(),
                "model.skops": skops_file(estimator),
                "input_example.json": example.to_json(orient="split", index=False, double_precision=15).encode(),
            }
        return address

    @property
    def _record(self) -> RunRecord:
        return self._kept.runs[self._run_id]


def _mlmodel(columns: Sequence[ColumnSpec]) -> dict[str, Any]:
    inputs = [{"name": column.name, "type": column.type, "required": column.required} for column in columns]
    sklearn = {
        "pickled_model": "model.skops",
        "serialization_format": "skops",
        "sklearn_version": version("scikit-learn"),
    }
    return {
        "flavors": {"sklearn": sklearn},
        "signature": {"inputs": json.dumps(inputs)},
        "saved_input_example_info": {"artifact_path": "input_example.json", "type": "dataframe"},
    }
