"""A bundle: one model version compiled, proven and measured, in a folder that never changes; and the role table.

    <DATA_DIR>/bundles/<model>/<version>-<digest12>/     bundle.json, model.onnx | model/, profile.json
    <DATA_DIR>/bundles/<model>/roles.json                which bundle has which role; replaced by atomic rename

The loader alone writes here. Workers and shadows only read: they poll `roles.json` and swap.
"""

import os
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from serving.rows import LabelKind, Value
from serving.signature import Signature


class ParityReport(msgspec.Struct, frozen=True):
    """Proof that the compiled model answers like the original.

    Attributes:
        rows: How many rows were compared.
        kinds: Where they came from, e.g. `profile`, `example`, `nulls`, `unseen`, `large_integers`.
        max_difference: Largest |Δp| (classifier) or |Δ| in reference interquartile ranges (regressor).
        differing_labels: Always 0 in a published bundle.
    """

    rows: int
    kinds: list[str]
    max_difference: float
    differing_labels: int = 0


class LatencyProfile(msgspec.Struct, frozen=True):
    """Median seconds of one call, by rows in it, measured on this host after warming."""

    seconds_by_rows: dict[int, float]


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """`bundle.json`.

    Attributes:
        digest: SHA-256 over the model's original files.
        engine: `onnx` (model.onnx in this process) or `process` (model/ behind a socket).
        engine_reason: Why the engine is `process`, in words; empty for `onnx`.
        classes: Labels in their own type and in the order of the probabilities; None for regressors, and for
            classifiers whose classes nobody listed.
        label_kind: Of those: what their labels are. They have no probabilities. None for all others.
        vocabulary: Of ONNX models with strings: per string column, in signature order, the values that have
            a code of their own (the code is the position; null and unseen have codes fixed by the engine).
        example: One valid row, column to value, for OpenAPI and for callers to try.
        metrics: Of the run: e.g. training_accuracy, evaluation_accuracy.
    """

    model_name: str
    model_version: str
    digest: str
    engine: Literal["onnx", "process"]
    engine_reason: str = ""
    task: Literal["classifier", "regressor"]
    classes: list[Value] | None = None
    label_kind: LabelKind | None = None
    signature: Signature
    vocabulary: list[list[str]] | None = None
    example: dict[str, Any]
    parity: ParityReport | None = None
    latency: LatencyProfile
    created_at: datetime
    trained_at: datetime | None = None
    metrics: dict[str, float] = {}
    run_id: str | None = None
    details: dict[str, Any] = {}


class RoleEntry(msgspec.Struct, frozen=True):
    """The bundle that has a role."""

    model_version: str
    bundle: str


class Problem(msgspec.Struct, frozen=True):
    """Why a role is not what the registry says it should be; the old bundle stays."""

    role: str
    model_version: str | None
    error_type: str
    message: str
    at: datetime


class RoleTable(msgspec.Struct, frozen=True, kw_only=True):
    """`roles.json`: role (`production`, or a shadow alias) to bundle. `generation` grows with every publication."""

    model_name: str
    generation: int
    published_at: datetime
    roles: dict[str, RoleEntry] = {}
    problems: list[Problem] = []


def read_role_table(model_folder: Path) -> RoleTable | None:
    """The published table, or None before the first publication."""
    try:
        return msgspec.json.decode((model_folder / "roles.json").read_bytes(), type=RoleTable)
    except FileNotFoundError:
        return None


def publish_role_table(model_folder: Path, table: RoleTable) -> None:
    """Replaces the table atomically; readers see the old one or the new one."""
    draft = model_folder / f".roles.{os.getpid()}.json"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(table)))
    draft.replace(model_folder / "roles.json")


def read_bundle(folder: Path) -> Bundle:
    """Reads a published bundle's manifest."""
    return msgspec.json.decode((folder / "bundle.json").read_bytes(), type=Bundle)
