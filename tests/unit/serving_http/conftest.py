import itertools
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from serving.bundle import Bundle, LatencyProfile, RoleEntry, RoleTable, publish_role_table
from serving.catalog import Catalog
from serving.rows import Answers, Rows
from serving.signature import Column, Signature

NOW = datetime(2026, 11, 21, tzinfo=UTC)


class CountingEngine:
    """Remembers which folder it was opened for."""

    inline = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def predict(self, rows: Rows) -> Answers:
        return Answers([0] * len(rows), None)

    def close(self) -> None:
        pass


class Shelf:
    """A bundles folder, a catalog over it, and the engines that were opened."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        self.opened: list[str] = []
        self.refused: set[str] = set()
        self.catalog = Catalog(folder, tuple(names), self.open)
        self._times = itertools.count(1)

    def open(self, folder: Path) -> CountingEngine:
        if folder.name in self.refused:
            raise OSError(f"cannot open {folder.name}")
        self.opened.append(folder.name)
        return CountingEngine(folder)

    def add(self, name: str, version: str, *columns: Column, classes: list[Any] | None = None) -> None:
        folder = self.folder / name / f"{version}-abc"
        folder.mkdir(parents=True)
        bundle = Bundle(
            model_name=name,
            model_version=version,
            digest="abc",
            engine="onnx",
            task="classifier" if classes else "regressor",
            classes=classes,
            signature=Signature(columns or (Column("x", "float"),)),
            example={"x": 1.0},
            latency=LatencyProfile({}),
            created_at=NOW,
        )
        (folder / "bundle.json").write_bytes(msgspec.json.encode(bundle))

    def publish(self, name: str, generation: int, **versions: str) -> None:
        roles = {role: RoleEntry(version, f"{version}-abc") for role, version in versions.items()}
        table = RoleTable(model_name=name, generation=generation, published_at=NOW, roles=roles)
        publish_role_table(self.folder / name, table)
        self.touch(name)

    def touch(self, name: str) -> None:
        """Another time of change each time, however quick the test is."""
        seconds = next(self._times)
        os.utime(self.folder / name / "roles.json", (seconds, seconds))


@pytest.fixture
def shelf(tmp_path: Path) -> Callable[..., Shelf]:
    return lambda *names: Shelf(tmp_path, names)
