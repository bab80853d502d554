"""One API worker: its catalog, its batcher and its partition of the log, from start to stop."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from serving import metrics
from serving.admission import Admission
from serving.batcher import TickBatcher
from serving.catalog import Catalog
from serving.errors import NotRecordedError
from serving.predict import Predictor
from serving.settings import ServingSettings
from streaming.errors import LogUnavailableError
from streaming.log import EventWriter

_log = logging.getLogger("understudy.serving")
_RETRY_SECONDS = 5.0
_CLOSE_AFTER_SECONDS = 60.0
_RESOURCES_SECONDS = 5.0


@dataclass(frozen=True)
class Worker:
    """What the routes need. Made by `understudy.roles.api`, one per process."""

    settings: ServingSettings
    catalog: Catalog
    writer: EventWriter
    batcher: TickBatcher
    admission: Admission
    predictor: Predictor
    metrics_folder: Path | None = None

    async def record(self, groups: list[list[bytes]]) -> None:
        """Appends events that are no predictions (labels).

        Raises:
            NotRecordedError: The log did not take them.
        """
        try:
            await self.batcher.append(groups)
        except LogUnavailableError as error:
            raise NotRecordedError(f"not recorded: {error}", error.retry_after_seconds) from error

    def problems(self) -> list[str]:
        """Why this worker cannot answer every model it was told to serve, and record it; empty when it can."""
        missing = [name for name in self.catalog.names if not self._has_production(name)]
        problems = [f"model {name!r} has no production version yet{self._cause(name)}" for name in missing]
        log_problem = self.batcher.log_problem()
        return [*problems, f"answers cannot be recorded: {log_problem}"] if log_problem else problems

    def _has_production(self, name: str) -> bool:
        model = self.catalog.models.get(name)
        return model is not None and "production" in model.roles

    def _cause(self, name: str) -> str:
        model = self.catalog.models.get(name)
        return "".join(f": {problem.message}" for problem in model.problems) if model else ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Loads what is published, follows it, and at the end answers what is in flight and closes the log."""
        for name in self.catalog.names:
            await self._refresh(name)
        tasks = [asyncio.create_task(self._follow_roles()), asyncio.create_task(self._measure())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.batcher.close()
            self.writer.close()

    async def _follow_roles(self) -> None:
        """One model that cannot be taken over is tried again later and holds up no other."""
        now = asyncio.get_running_loop().time
        rests_until: dict[str, float] = {}
        while True:
            await asyncio.sleep(self.settings.reload_seconds)
            for name in self.catalog.names:
                if now() >= rests_until.get(name, 0.0) and not await self._refresh(name):
                    rests_until[name] = now() + _RETRY_SECONDS

    async def _refresh(self, name: str) -> bool:
        loop = asyncio.get_running_loop()
        try:
            for engine in await asyncio.to_thread(self.catalog.refresh, name):
                loop.call_later(_CLOSE_AFTER_SECONDS, engine.close)
        except Exception:  # noqa: BLE001 the guard of this loop: what is served goes on, and the next try may succeed
            _log.exception("roles_not_taken_over", extra={"model_name": name})
            metrics.failed_swaps_total.inc()
            return False
        return True

    async def _measure(self) -> None:
        process = psutil.Process(os.getpid())
        cpu = metrics.model_cpu_seconds_total.labels("production")
        memory = metrics.model_memory_bytes.labels("production")
        while True:
            cpu.set(time.process_time())
            memory.set(process.memory_info().rss)
            await asyncio.sleep(_RESOURCES_SECONDS)
