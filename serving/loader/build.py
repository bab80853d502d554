"""How a version becomes a bundle: fetch, pin the digest, compile in a child, put it on the shelf."""

import math

from serving.compile.child import compile_in_child
from serving.compile.request import CompileRequest
from serving.loader.shelf import Shelf
from versioning.artifacts import FetchedModel, fetch_model
from versioning.registry import ModelVersion
from versioning.settings import VersioningSettings


class BundleBuilder:
    """Builds versions; see `serving.loader.builds.Build`. Blocks for as long as a compile takes."""

    def __init__(self, shelf: Shelf, settings: VersioningSettings, *, timeout_seconds: float) -> None:
        self._shelf = shelf
        self._settings = settings
        self._timeout_seconds = timeout_seconds

    def __call__(self, version: ModelVersion) -> None:
        """Raises what `fetch_model` and `compile_in_child` raise; the shelf is as it was then."""
        with self._shelf.draft(version.model_name) as draft:
            fetched = fetch_model(version, self._settings, draft / "source")
            request = _request(fetched, str(draft / "bundle"))
            compile_in_child(request, timeout_seconds=self._timeout_seconds)
            self._shelf.put(draft / "bundle")


def _request(fetched: FetchedModel, out: str) -> CompileRequest:
    run = fetched.run
    return CompileRequest(
        source=str(fetched.folder),
        out=out,
        model_name=fetched.version.model_name,
        model_version=fetched.version.model_version,
        digest=fetched.digest,
        profile=str(fetched.profile) if fetched.profile else None,
        run_id=fetched.version.run_id,
        trained_at=(run.ended_at or run.started_at) if run else fetched.version.created_at,
        metrics={name: value for name, value in run.metrics.items() if math.isfinite(value)} if run else {},
    )
