"""Versions being fetched and compiled in the background, one at a time, so that a change of roles never waits."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import datetime

from serving import metrics
from serving.loader.plan import RetryPolicy
from versioning.registry import ModelVersion

Build = Callable[[ModelVersion], None]
"""Fetches, checks and compiles a version and puts its bundle on the shelf, or raises with the reason."""
_log = logging.getLogger("understudy.serving")


@dataclass(frozen=True)
class Failure:
    """Why a version has no bundle, and when it is tried again."""

    error_type: str
    message: str
    at: datetime
    count: int
    retry_at: datetime


class Builds:
    """Used by one thread; the builds themselves run in `executor`.

    Args:
        done: Set whenever a build ends, to wake whoever waits for it.
    """

    def __init__(
        self, build: Build, executor: Executor, done: threading.Event, policy: RetryPolicy | None = None
    ) -> None:
        self._build = build
        self._executor = executor
        self._done = done
        self._policy = policy or RetryPolicy()
        self._running: dict[tuple[str, str], Future[None]] = {}
        self._failures: dict[tuple[str, str], Failure] = {}

    def ask(self, version: ModelVersion, now: datetime) -> None:
        """Starts a build, unless it runs already or failed so lately that its pause is not over."""
        key = (version.model_name, version.model_version)
        failure = self._failures.get(key)
        if key in self._running or (failure is not None and now < failure.retry_at):
            return
        _log.info("bundle_build_started", extra={"model_name": key[0], "model_version": key[1]})
        future = self._executor.submit(self._build, version)
        self._running[key] = future
        future.add_done_callback(lambda _: self._done.set())

    def failure(self, model_name: str, model_version: str) -> Failure | None:
        """Why the last build failed; stays until one succeeds."""
        return self._failures.get((model_name, model_version))

    @property
    def busy(self) -> bool:
        """Whether a version is being built."""
        return any(not future.done() for future in self._running.values())

    def collect(self, now: datetime) -> None:
        """Takes note of the builds that have ended."""
        for key in [key for key, future in self._running.items() if future.done()]:
            error = self._running.pop(key).exception()
            metrics.bundles_built_total.labels(key[0], "error" if error else "ok").inc()
            if error is None:
                self._failures.pop(key, None)
                _log.info("bundle_built", extra={"model_name": key[0], "model_version": key[1]})
                continue
            self._note(key, error, now)

    def _note(self, key: tuple[str, str], error: BaseException, now: datetime) -> None:
        previous = self._failures.get(key)
        count = previous.count + 1 if previous else 1
        failure = Failure(error_type(error), str(error), now, count, now + self._policy.pause(count))
        self._failures[key] = failure
        fields = {"model_name": key[0], "model_version": key[1], "failures": count, "retry_at": failure.retry_at}
        _log.error("bundle_failed", extra={**fields, "error_type": failure.error_type, "error": failure.message})


_NAMES = {
    "ForbiddenModelError": "forbidden_model",
    "ArtifactError": "artifact",
    "RegistryUnavailableError": "registry_unavailable",
    "NotFoundError": "not_found",
}


def error_type(error: BaseException) -> str:
    """A stable short name for a problem: the error's own `error_type`, else one by its class, else `internal`."""
    own = getattr(error, "error_type", None)
    return own if isinstance(own, str) else _NAMES.get(type(error).__name__, "internal")
