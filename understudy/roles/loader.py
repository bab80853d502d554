"""The loader: registry alias → bundle → role table; and the model processes of bundles that are not ONNX."""

import logging
import os
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from serving.engines.model_keeper import ModelKeeper
from serving.loader.build import BundleBuilder
from serving.loader.builds import Builds
from serving.loader.figures import show_usage
from serving.loader.loader import Loader, LoaderParts
from serving.loader.report import ChangeReporter
from serving.loader.shelf import Shelf
from serving.loader.specs import parse_specs
from serving.settings import ServingSettings
from streaming.segments import open_segment_log
from streaming.settings import StreamingSettings
from understudy.process import stop_event
from versioning.connect import open_registry
from versioning.settings import VersioningSettings

MODEL_COMMAND = (sys.executable, "-m", "understudy", "run", "model")
_SETTLE_SECONDS = 0.25
_log = logging.getLogger("understudy.serving")


def main() -> int:
    """Runs until told to stop."""
    settings, stop, woken = ServingSettings(), stop_event(), threading.Event()
    keeper = ModelKeeper(settings.run_dir, MODEL_COMMAND)
    watcher = threading.Thread(target=keeper.watch, args=(stop,), name="model-keeper")
    executor = ThreadPoolExecutor(1, thread_name_prefix="bundle-build")
    shelf = Shelf(settings.bundles_dir)
    builder = BundleBuilder(shelf, VersioningSettings(), timeout_seconds=settings.compile_timeout_seconds)
    builds = Builds(builder, executor, woken)
    loader = _loader(settings, shelf, builds, keeper)
    loader.resume(datetime.now(UTC))
    watcher.start()
    _log.info(
        "loader_started", extra={"models": ",".join(settings.models), "poll_seconds": settings.loader_poll_seconds}
    )
    run(loader, keeper, stop, woken, poll_seconds=settings.loader_poll_seconds)
    watcher.join()
    keeper.close()
    executor.shutdown(wait=False, cancel_futures=True)
    if builds.busy:
        # Ending in the ordinary way would wait for the build, minutes perhaps; its child dies with us and the next
        # loader sweeps its draft away.
        os._exit(0)
    return 0


def run(
    loader: Loader, keeper: ModelKeeper, stop: threading.Event, woken: threading.Event, *, poll_seconds: float
) -> None:
    """Polls the registry every `poll_seconds` (± 10 %, so that many hosts do not ask at once) and settles often."""
    next_poll = 0.0
    while not stop.is_set():
        if time.monotonic() >= next_poll:
            loader.poll(datetime.now(UTC))
            show_usage(keeper.pids().values())
            next_poll = time.monotonic() + poll_seconds * random.uniform(0.9, 1.1)  # noqa: S311 not a secret
        else:
            loader.settle(datetime.now(UTC))
        woken.wait(_SETTLE_SECONDS)
        woken.clear()


def _loader(settings: ServingSettings, shelf: Shelf, builds: Builds, keeper: ModelKeeper) -> Loader:
    parts = LoaderParts(
        registry=lambda: open_registry(VersioningSettings()),
        shelf=shelf,
        builds=builds,
        processes=keeper,
        report_change=ChangeReporter(shelf.model_folder, open_segment_log(StreamingSettings())),
    )
    specs = parse_specs(settings.models, settings.production_alias)
    return Loader(specs, parts, shadow_aliases=settings.shadow_aliases, keep_unused=settings.keep_unused_bundles)
