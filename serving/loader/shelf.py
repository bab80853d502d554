"""Bundles on disk: `<folder>/<model>/<version>-<digest12>/`, put there by atomic rename and never changed."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from serving.bundle import Bundle, RoleEntry, read_bundle
from serving.loader.plan import disposable

_DRAFT = ".draft-"


class Shelf:
    """The bundles folder, written by one loader only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def model_folder(self, model_name: str) -> Path:
        return self._folder / model_name

    def path(self, model_name: str, entry: RoleEntry) -> Path:
        """The bundle folder of a role's entry."""
        return self._folder / model_name / entry.bundle

    def bundle(self, model_name: str, entry: RoleEntry) -> Bundle | None:
        """A role's bundle, None where its folder is missing or unreadable."""
        return _readable(self.path(model_name, entry))

    def find(self, model_name: str, model_version: str, run_id: str | None = None) -> RoleEntry | None:
        """The newest readable bundle of a version, or None.

        With the `run_id` of the registered version, a bundle of another run is not found: it is another model that
        once had the same number.
        """
        found = [
            (bundle.created_at, name)
            for name, bundle in self._bundles(model_name, f"{model_version}-*")
            if bundle.model_version == model_version and (not run_id or not bundle.run_id or bundle.run_id == run_id)
        ]
        return RoleEntry(model_version, max(found)[1]) if found else None

    @contextmanager
    def draft(self, model_name: str) -> Iterator[Path]:
        """A folder to build in, on the same disk; gone when the block ends."""
        folder = self._folder / model_name / f"{_DRAFT}{uuid.uuid4().hex}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def put(self, built: Path) -> RoleEntry:
        """Moves a finished bundle folder to its place, safe against a power cut.

        Raises:
            ValueError: It has no readable `bundle.json`.
        """
        bundle = _readable(built)
        if bundle is None:
            raise ValueError(f"{built} has no readable bundle.json")
        place = self._folder / bundle.model_name / f"{bundle.model_version}-{bundle.digest[:12]}"
        for path in (*built.rglob("*"), built):
            _sync(path)
        if place.exists():  # an unreadable one: `find` did not find it
            place.rename(place.parent / f"{_DRAFT}{uuid.uuid4().hex}")
        built.rename(place)
        _sync(place.parent)
        return RoleEntry(bundle.model_version, place.name)

    def prune(self, model_name: str, used: frozenset[str], keep: int) -> list[str]:
        """Deletes unused bundles beyond the `keep` newest; returns their names."""
        made: dict[str, datetime] = {name: bundle.created_at for name, bundle in self._bundles(model_name, "*")}
        gone = disposable(made, used, keep)
        for name in gone:
            shutil.rmtree(self._folder / model_name / name, ignore_errors=True)
        return gone

    def sweep(self, model_name: str) -> None:
        """Deletes what a killed loader left half done. Call it while nothing is being built."""
        for folder in (self._folder / model_name).glob(f"{_DRAFT}*"):
            shutil.rmtree(folder, ignore_errors=True)

    def _bundles(self, model_name: str, pattern: str) -> Iterator[tuple[str, Bundle]]:
        for folder in (self._folder / model_name).glob(pattern):
            if not folder.name.startswith(".") and (bundle := _readable(folder)) is not None:
                yield folder.name, bundle


def _readable(folder: Path) -> Bundle | None:
    try:
        bundle = read_bundle(folder)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    model = folder / ("model.onnx" if bundle.engine == "onnx" else "model")
    return bundle if model.exists() else None


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
