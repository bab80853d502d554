"""All children of one supervisor: start, reap, restart with back-off, stop in order."""

import itertools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.supervisor.children import Child, ChildSpec
from understudy.supervisor.restart import RestartPolicy
from understudy.supervisor.signals import Signals

EXPENDABLE_GRACE_SECONDS = 1.0
_log = logging.getLogger("understudy.supervisor")


@dataclass(frozen=True)
class Death:
    """A child that ended without being asked to; it is started again after `pause_seconds`."""

    name: str
    pid: int
    exit_code: int
    failures: int
    pause_seconds: float


class Supervisor:
    """Not thread-safe; lives in the main thread.

    Args:
        signals: What interrupts a wait.
        grace_seconds: Time a child has to stop cleanly before it is killed.
        logs_dir: One log file a child, or None: they share our output.
        on_change: Called with all children after any of them changed.
    """

    def __init__(
        self,
        signals: Signals,
        *,
        grace_seconds: float,
        logs_dir: Path | None = None,
        policy: RestartPolicy | None = None,
        on_change: Callable[[Sequence[Child]], None] = lambda _children: None,
    ) -> None:
        self._signals = signals
        self._grace_seconds = grace_seconds
        self._logs_dir = logs_dir
        self._policy = policy or RestartPolicy()
        self._on_change = on_change
        self._children: list[Child] = []

    @property
    def children(self) -> Sequence[Child]:
        """All children, in the order they were started."""
        return tuple(self._children)

    def start(self, specs: Sequence[ChildSpec]) -> None:
        """Starts children and keeps them running from now on."""
        for spec in specs:
            child = Child(spec)
            child.start(time.monotonic(), self._logs_dir)
            self._children.append(child)
            _log.info("child_started", extra={"child": spec.name, "child_pid": child.pid})
        self._on_change(self._children)

    def step(self) -> list[Death]:
        """Buries the dead and starts again what is due; returns who died. Never blocks."""
        now = time.monotonic()
        deaths = [death for child in self._children if (death := self._bury(child, now))]
        due = [child for child in self._children if child.due is not None and child.due <= now]
        for child in due:
            child.start(now, self._logs_dir)
            child.restarts += 1
        if deaths or due:
            self._on_change(self._children)
        return deaths

    def wait(self, timeout_seconds: float) -> None:
        """Waits for a signal, the next restart that is due, or the time given."""
        dues = [child.due for child in self._children if child.due is not None]
        until_due = min(dues) - time.monotonic() if dues else timeout_seconds
        self._signals.wait(max(0.0, min(timeout_seconds, until_due)))

    def stop(self) -> list[str]:
        """Stops all children, rank after rank; kills what outlives its grace time, or a second request to stop.

        Returns:
            Names of those that had to be killed, but for the expendable.
        """
        for child in self._children:
            child.due = None
        killed: list[str] = []
        ranked = sorted(self._children, key=lambda child: child.spec.stop_rank)
        for _rank, group in itertools.groupby(ranked, key=lambda child: child.spec.stop_rank):
            killed += self._stop_together(list(group))
        self._on_change(self._children)
        return killed

    def _bury(self, child: Child, now: float) -> Death | None:
        pid, exit_code = child.pid, child.reap()
        if pid is None or exit_code is None:
            return None
        child.failures = self._policy.failures(child.failures, now - child.born)
        pause_seconds = self._policy.pause_seconds(child.failures)
        child.due = now + pause_seconds
        _log.warning("child_died", extra={"child": child.spec.name, "exit_code": exit_code, "failures": child.failures})
        return Death(child.spec.name, pid, exit_code, child.failures, pause_seconds)

    def _stop_together(self, group: Sequence[Child]) -> set[str]:
        begun, killed = time.monotonic(), set[str]()
        for child in group:
            child.terminate()
        while alive := [child for child in group if child.pid and child.reap() is None]:
            for child in (each for each in alive if self._is_out_of_time(each, time.monotonic() - begun)):
                child.kill()
                if not child.spec.expendable:
                    _log.warning("child_killed", extra={"child": child.spec.name})
                    killed.add(child.spec.name)
            self._signals.wait(0.1)
        return killed

    def _is_out_of_time(self, child: Child, seconds: float) -> bool:
        grace = EXPENDABLE_GRACE_SECONDS if child.spec.expendable else self._grace_seconds
        return seconds > grace or self._signals.stop_requests > 1
