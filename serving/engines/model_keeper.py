"""Keeps one model process alive for each bundle that needs one: starts, adopts, restarts and stops them.

A keeper may be killed at any time: its model processes go on, and the next keeper of the folder finds them by
their locks. One keeper per `run_dir`.
"""

import fcntl
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from serving import metrics
from serving.engines.model_process import lock_path
from serving.engines.process import ProcessEngine, socket_path
from serving.errors import EngineError

_KILL_AFTER_SECONDS = 5.0
_WATCH_SECONDS = 0.1
_PING_SECONDS = 1.0
_log = logging.getLogger("understudy.serving")


@dataclass(frozen=True)
class RestartPolicy:
    """First restart at once, then after a growing pause; a process that lived long starts anew."""

    first_pause_seconds: float = 0.5
    longest_pause_seconds: float = 30.0
    lived_long_seconds: float = 60.0

    def pause_seconds(self, failures: int) -> float:
        """How long to wait after the `failures`-th death in a row.

        >>> [RestartPolicy().pause_seconds(failures) for failures in (1, 2, 3, 30)]
        [0.0, 0.5, 1.0, 30.0]
        """
        if failures <= 1:
            return 0.0
        return min(self.first_pause_seconds * 2.0 ** min(failures - 2, 30), self.longest_pause_seconds)


@dataclass(frozen=True)
class _Kept:
    path: Path
    child: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_after: float = 0.0
    failures: int = 0


class ModelKeeper:
    """Thread-safe. `watch` runs in a thread of its own; the rest returns quickly.

    Args:
        run_dir: Decides the sockets (`serving.engines.process.socket_path`).
        command: Starts a model process when given `--bundle FOLDER --run-dir RUN_DIR`.
    """

    def __init__(self, run_dir: Path, command: Sequence[str], policy: RestartPolicy | None = None) -> None:
        self._run_dir = run_dir
        self._command = tuple(command)
        self._policy = policy or RestartPolicy()
        self._lock = threading.Lock()
        self._kept: dict[Path, _Kept] = {}
        self._stray_pids: set[int] | None = None

    def keep(self, bundles: Iterable[Path], /) -> None:
        """Says which bundles need a model process from now on; the processes of all others are stopped."""
        wanted = {folder.resolve() for folder in bundles}
        with self._lock:
            dropped = [self._kept.pop(folder) for folder in list(self._kept) if folder not in wanted]
            for folder in wanted - self._kept.keys():
                self._kept[folder] = _Kept(socket_path(folder, self._run_dir))
            kept_paths = {kept.path for kept in self._kept.values()}
        _stop_all(dropped)
        self._stop_strays(kept_paths)

    def watch(self, stop: threading.Event) -> None:
        """Starts and restarts until `stop` is set."""
        while not stop.wait(_WATCH_SECONDS):
            self.tick(time.monotonic())

    def tick(self, now: float) -> None:
        """Starts what is missing, as the policy allows. `now` in monotonic seconds."""
        with self._lock:
            for folder, kept in list(self._kept.items()):
                self._kept[folder] = self._step(folder, kept, now)

    def ready(self, folder: Path, /) -> bool:
        """Whether the bundle's model process is there with its model loaded."""
        engine = ProcessEngine(socket_path(folder, self._run_dir), timeout_seconds=_PING_SECONDS)
        try:
            engine.ping()
        except EngineError:
            return False
        finally:
            engine.close()
        return True

    def failures(self, folder: Path, /) -> int:
        """How often in a row the bundle's model process has ended by itself."""
        with self._lock:
            kept = self._kept.get(folder.resolve())
            return kept.failures if kept else 0

    def pids(self) -> Mapping[Path, int]:
        """Process id by bundle, of those alive."""
        with self._lock:
            paths = {folder: kept.path for folder, kept in self._kept.items()}
        return {folder: pid for folder, path in paths.items() if (pid := owner_pid(lock_path(path))) is not None}

    def close(self) -> None:
        """Stops every process kept. Idempotent."""
        self.keep(())

    def _step(self, folder: Path, kept: _Kept, now: float) -> _Kept:
        if kept.child is not None:
            code = kept.child.poll()
            if code is None:
                return kept
            return self._after_death(folder, kept, code, now)
        if now < kept.start_after or owner_pid(lock_path(kept.path)) is not None:
            return kept
        return replace(kept, child=self._start(folder), started_at=now)

    def _after_death(self, folder: Path, kept: _Kept, code: int, now: float) -> _Kept:
        lived = now - kept.started_at
        failures = 1 if lived >= self._policy.lived_long_seconds else kept.failures + 1
        pause = self._policy.pause_seconds(failures)
        metrics.model_process_restarts_total.inc()
        _log.warning("model_process_ended", extra={"bundle": folder.name, "exit_code": code, "restart_in_s": pause})
        return replace(kept, child=None, failures=failures, start_after=now + pause)

    def _start(self, folder: Path) -> subprocess.Popen[bytes]:
        command = [*self._command, "--bundle", os.fspath(folder), "--run-dir", os.fspath(self._run_dir.resolve())]
        # A process group of its own in the session of its supervisor: a new session would put it into another
        # scheduling autogroup and undo every priority.
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)

    def _stop_strays(self, kept_paths: set[Path]) -> None:
        """Once, ends model processes that an earlier keeper left and nobody wants now."""
        with self._lock:
            if self._stray_pids is not None:
                return
            folder = socket_path(Path("any"), self._run_dir).parent
            locks = [path for path in folder.glob("*.lock") if path.with_suffix(".sock") not in kept_paths]
            self._stray_pids = {pid for path in locks if (pid := owner_pid(path)) is not None}
        for pid in self._stray_pids:
            _terminate(pid)


def owner_pid(path: Path) -> int | None:
    """Process id of the live model process that holds this lock file, None when nobody does."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(handle, 20, 0)
        return int(text) if text.isdigit() else None
    else:
        return None
    finally:
        os.close(handle)


def _stop_all(dropped: Sequence[_Kept]) -> None:
    for kept in dropped:
        pid = kept.child.pid if kept.child else owner_pid(lock_path(kept.path))
        if pid is not None:
            _terminate(pid)
    deadline = time.monotonic() + _KILL_AFTER_SECONDS
    for kept in dropped:
        if kept.child is not None:
            _wait_or_kill(kept.child, deadline)


def _terminate(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def _wait_or_kill(child: subprocess.Popen[bytes], deadline: float) -> None:
    try:
        child.wait(max(deadline - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
