"""One API worker: answers callers with the production model and records every answer."""

import contextlib
import gc
import os
import signal
import socket
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import FrameType

import uvicorn

from serving.admission import Admission
from serving.app import create_app
from serving.auth import Authenticator, require_safe
from serving.batcher import TickBatcher
from serving.catalog import Catalog
from serving.engines import open_engine
from serving.fast_path import fast_path
from serving.limits import InFlight, RateLimit
from serving.loader.specs import parse_specs
from serving.predict import Predictor
from serving.settings import ServingSettings
from serving.worker import Worker
from streaming.segments import open_segment_log
from streaming.settings import StreamingSettings
from understudy.process import supervisor_pid
from understudy.settings import UnderstudySettings

LISTENER = "UNDERSTUDY_API_FD"


def main() -> int:
    """Serves on the socket that the supervisor listens on, until SIGTERM."""
    settings, front_door = ServingSettings(), UnderstudySettings()
    worker = make_worker(settings, StreamingSettings())
    config = uvicorn.Config(
        create_app(worker, version("understudy")),
        http=fast_path(worker.predictor, max_body_bytes=settings.max_body_bytes) if settings.fast_path else "httptools",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=int(front_door.stop_grace_seconds),
    )
    _rest_the_collector()
    listener = socket.socket(fileno=os.dup(int(os.environ[LISTENER])))
    _Server(config).run(sockets=[listener])
    return 0


class _Server(uvicorn.Server):
    """Stops by the rules of our processes: uvicorn's own would end on Ctrl-C too, and with the signal's exit code."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ends with what is in flight answered on SIGTERM, and on SIGINT where no supervisor stops us in order."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            self.should_exit = True

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN if supervisor_pid() else stop)
        yield


def _rest_the_collector() -> None:
    """Keeps what start-up made out of every later collection, and collects less often: a request leaves no cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def make_worker(settings: ServingSettings, streaming: StreamingSettings) -> Worker:
    """Wires one worker.

    Raises:
        ServingError: API_HOST is reachable from elsewhere and there is no API key.
        LogUnavailableError: The log cannot be opened.
    """
    authenticator = Authenticator(settings.keys_file)
    require_safe(settings.api_host, authenticator)
    catalog = Catalog(
        settings.bundles_dir,
        tuple(spec.name for spec in parse_specs(settings.models, settings.production_alias)),
        partial(open_engine, run_dir=settings.run_dir, timeout_seconds=settings.engine_timeout_seconds),
        ignore_unknown=settings.extra_fields == "ignore",
    )
    writer = open_segment_log(streaming).writer()
    batcher = TickBatcher(writer, max_event_bytes=streaming.max_event_bytes)
    admission = Admission(authenticator, RateLimit(settings.rate_limit_per_second), InFlight(settings.max_in_flight))
    predictor = Predictor(catalog, batcher, admission, settings)
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return Worker(settings, catalog, writer, batcher, admission, predictor, Path(folder) if folder else None)
