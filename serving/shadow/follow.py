"""One model's shadow: runs the version that has the alias, and changes over when another one gets it."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from serving.bundle import RoleEntry, read_bundle, read_role_table
from serving.engines import open_engine
from serving.engines.model_keeper import ModelKeeper, RestartPolicy
from serving.errors import EngineError
from serving.settings import ServingSettings
from serving.shadow.answers import Understudy
from serving.shadow.scorer import ShadowScorer
from serving.shadow.start import begin
from streaming.errors import LogUnavailableError
from streaming.log import EventLog
from streaming.loop import LoopPolicy, run_loop

_POLICY = LoopPolicy(max_records=1_000, poll_seconds=0.5)
# Longer than the longest pause and a slow start together, or a row that ends its model process could never be told
# from a process that is away, and its batch would be offered for ever.
_PATIENCE_SECONDS = 90.0
_RESTARTS = RestartPolicy(longest_pause_seconds=5.0)
_RETRY_SECONDS = 5.0
_log = logging.getLogger("understudy.serving")


@dataclass(frozen=True)
class ShadowParts:
    """What a shadow is wired from.

    Attributes:
        model_command: Starts a model process (`ModelKeeper`); the shadow has its own, at its own priority, so that
            what it asks of a model is never in the way of a caller's request to the same version.
    """

    settings: ServingSettings
    log: EventLog
    model_command: tuple[str, ...]
    wait_seconds: float = 0.25


class ShadowFollower:
    """The shadow of one model under one alias. `run` blocks; it is meant for a thread of its own."""

    def __init__(self, alias: str, model_name: str, parts: ShadowParts) -> None:
        self._alias = alias
        self._model_name = model_name
        self._parts = parts
        self._folder = parts.settings.bundles_dir / model_name
        self._run_dir = parts.settings.run_dir / f"{alias}-{model_name}"

    def run(self, stop: threading.Event) -> None:
        """Answers until `stop` is set. What fails is logged and tried again; the log keeps what is unanswered."""
        while not stop.is_set():
            entry = self._entry()
            if entry is None:
                stop.wait(self._parts.wait_seconds)
                continue
            try:
                self._run_version(entry, stop)
            except (EngineError, LogUnavailableError, OSError) as error:
                fields = {"model_name": self._model_name, "model_version": entry.model_version, "error": str(error)}
                _log.error("shadow_failed", extra={**fields, "error_type": type(error).__name__})
                stop.wait(_RETRY_SECONDS)

    def _entry(self) -> RoleEntry | None:
        table = read_role_table(self._folder)
        return table.roles.get(self._alias) if table else None

    def _run_version(self, entry: RoleEntry, stop: threading.Event) -> None:
        settings, log = self._parts.settings, self._parts.log
        who = Understudy(self._model_name, entry.model_version, self._alias, settings.shadow_fraction)
        folder = self._folder / entry.bundle
        bundle = read_bundle(folder)
        with (
            self._until_changed(entry, stop) as over,
            self._processes({folder} if bundle.engine == "process" else set(), over),
            closing(open_engine(folder, self._run_dir, patience_seconds=_PATIENCE_SECONDS)) as engine,
            closing(log.writer()) as writer,
        ):
            backfill = timedelta(hours=settings.shadow_backfill_hours)
            start = begin(who, self._starts_file, writer, backfill, now=datetime.now(UTC))
            _log.info("shadow_answers", extra={"model_name": who.model_name, "model_version": who.model_version})
            scorer = ShadowScorer(who, (bundle, engine), writer, batch_rows=settings.shadow_batch_rows)
            with closing(log.reader(who.group, start=start.reads_from)) as reader:
                run_loop(reader, scorer, over, _POLICY)

    @property
    def _starts_file(self) -> Path:
        return self._parts.settings.data_dir / "shadow" / f"{self._alias}-{self._model_name}.json"

    @contextmanager
    def _until_changed(self, entry: RoleEntry, stop: threading.Event) -> Iterator[threading.Event]:
        """An event that is set once another bundle has the alias, or `stop` is set."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(self._parts.wait_seconds):
                if stop.is_set() or self._entry() != entry:
                    over.set()

        with _thread(watch, over):
            yield over

    @contextmanager
    def _processes(self, folders: set[Path], over: threading.Event) -> Iterator[None]:
        keeper = ModelKeeper(self._run_dir, self._parts.model_command, _RESTARTS)
        keeper.keep(folders)
        try:
            with _thread(lambda: keeper.watch(over), over):
                yield
        finally:
            keeper.close()


@contextmanager
def _thread(target: Callable[[], None], over: threading.Event) -> Iterator[None]:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
