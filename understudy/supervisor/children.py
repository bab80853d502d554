"""One child process: what it is, and its present incarnation."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

LOG_FILE_BYTES = 10_000_000


@dataclass(frozen=True)
class ChildSpec:
    """A process to keep running.

    Attributes:
        name: Unique; names its log file.
        argv: Program and arguments.
        environment: Added to the supervisor's own.
        file_descriptors: Handed down under the same numbers.
        stop_rank: Children of a lower rank are stopped, and waited for, first.
        expendable: Holds nothing of worth: killed when it does not stop within a second, and nobody is told.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    file_descriptors: tuple[int, ...] = ()
    stop_rank: int = 1
    expendable: bool = False


def role_argv(role: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a role with this interpreter."""
    return (sys.executable, "-m", "understudy", "run", role, *arguments)


class Child:
    """A specification and its present process. Start it from the main thread.

    The kernel ties a child's death signal to the *thread* that started it: from a thread that ends, the child
    would be killed with it.
    """

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.failures = 0
        self.restarts = 0
        self.last_exit: int | None = None
        self.started_at: datetime | None = None
        self.born = 0.0
        self.due: float | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs, as far as `reap` knows."""
        return self._process.pid if self._process else None

    def start(self, now: float, logs_dir: Path | None) -> None:
        """Starts the process in a group of its own, its output in `<logs_dir>/<name>.log` or ours when None."""
        log = open_log(logs_dir, self.spec.name) if logs_dir else None
        try:
            self._process = subprocess.Popen(
                self.spec.argv,
                env={**os.environ, **self.spec.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=self.spec.file_descriptors,
                # A group of its own, but our session: a session would be another autogroup, and a SCHED_IDLE
                # child alone in its autogroup competes with the API as an equal.
                process_group=0,
            )
        finally:
            if log:
                log.close()
        self.born, self.due, self.started_at = now, None, datetime.now(UTC)

    def reap(self) -> int | None:
        """Exit code if the process has just been found dead (negative: the signal)."""
        if self._process is None or self._process.poll() is None:
            return None
        self.last_exit, self._process = self._process.returncode, None
        return self.last_exit

    def terminate(self) -> None:
        """Asks the process to stop."""
        if self._process:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends the process and what it started in its group."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)


def open_log(logs_dir: Path, name: str) -> IO[bytes]:
    """Opens a log file for appending; one that has grown beyond its size becomes `.log.1` first."""
    logs_dir.mkdir(parents=True, exist_ok=True)
    path = logs_dir / f"{name}.log"
    if path.exists() and path.stat().st_size > LOG_FILE_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")
