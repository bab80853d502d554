"""The rules every process of ours keeps: how it stops, how it yields, how it logs, with whom it dies."""

import ctypes
import json
import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from types import FrameType

from understudy.settings import UnderstudySettings

SUPERVISOR_PID = "SUPERVISOR_PID"
_THREAD_CAPS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
_PR_SET_PDEATHSIG = 1
_ORDINARY_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def stop_event() -> threading.Event:
    """Returns an event that SIGTERM sets. Call it in the main thread.

    Under a supervisor SIGINT is ignored, because Ctrl-C reaches the whole terminal and the supervisor stops its
    children in order; without one SIGINT sets the event too.
    """
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, signal.SIG_IGN if supervisor_pid() else on_signal)
    return stop


def supervisor_pid() -> int | None:
    """Process id of the supervisor that started this process or its parent, if any."""
    pid = os.environ.get(SUPERVISOR_PID, "")
    return int(pid) if pid.isdigit() else None


def low_priority() -> None:
    """Runs this process only when nobody else wants the CPU (SCHED_IDLE, else nice 19), one thread each.

    Call it before numerical libraries are imported: they read their thread limits once. Children inherit both.
    """
    os.environ.update(dict.fromkeys(_THREAD_CAPS, "1"))
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):  # macOS has no such policy, a container may forbid it
        os.nice(19)


def yield_to_callers() -> None:
    """Lets whoever answers callers go first where the CPU is short, and still keeps a fair share (nice 10).

    For readers that must keep up, such as the indexer: the log waits for them, a caller does not.
    """
    os.nice(10)


def die_with_supervisor(*, grace_seconds: float = 0.0) -> None:
    """Ends this process when the supervisor is gone, however it went; does nothing without a supervisor.

    Args:
        grace_seconds: 0 ends at once with SIGKILL, which every role must survive anyway; above, SIGTERM is tried
            first for so long.
    """
    supervisor = supervisor_pid()
    if supervisor is None:
        return
    if os.getppid() == supervisor:
        _ask_kernel_for_death_signal(signal.SIGTERM if grace_seconds else signal.SIGKILL)
    threading.Thread(target=_follow, args=(supervisor, grace_seconds), name="supervisor-watch", daemon=True).start()


def _ask_kernel_for_death_signal(number: signal.Signals) -> None:
    if sys.platform == "linux":
        # Comes even to a process whose interpreter hangs and whose watching thread never runs.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def _follow(pid: int, grace_seconds: float) -> None:
    _wait_for_exit(pid)
    if grace_seconds:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace_seconds)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # what it started goes with it
    os.kill(os.getpid(), signal.SIGKILL)


def _wait_for_exit(pid: int) -> None:
    if sys.platform == "linux":
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        waiter = select.poll()
        waiter.register(handle, select.POLLIN)
        waiter.poll()
        os.close(handle)
        return
    while _is_alive(pid):
        time.sleep(0.5)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def configure_logging(role: str, settings: UnderstudySettings) -> None:
    """Sends every log event of this process to standard error, one line each, with the role's name."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines(role) if settings.log_format == "json" else _TextLines(role))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _ORDINARY_FIELDS}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _TextLines(logging.Formatter):
    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={_shown(value)}" for name, value in _fields(record).items())
        line = f"{_time(record)} {record.levelname:<7} {self._role} {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _shown(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(c in text for c in ' "\n=') else text


class _JsonLines(logging.Formatter):
    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname,
            "role": self._role,
            "logger": record.name,
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, default=str, ensure_ascii=False)
