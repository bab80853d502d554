"""What a running supervisor tells others, and the lock that keeps a second one out of its DATA_DIR."""

import fcntl
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from understudy.errors import AlreadyRunningError
from understudy.supervisor.children import Child

Phase = Literal["starting", "training", "unready", "running", "stopping"]


class ChildState(msgspec.Struct, frozen=True):
    """One child; `pid` is None while it waits to be started again, `last_exit` is how it ended before."""

    name: str
    pid: int | None
    restarts: int
    started_at: datetime | None
    last_exit: int | None = None


class SupervisorState(msgspec.Struct, frozen=True, kw_only=True):
    """`supervisor.json`."""

    pid: int
    started_at: datetime
    phase: Phase
    ports: Mapping[str, int] = {}
    urls: Mapping[str, str] = {}
    children: tuple[ChildState, ...] = ()


def child_state(child: Child) -> ChildState:
    """What is told of a child."""
    return ChildState(child.spec.name, child.pid, child.restarts, child.started_at, child.last_exit)


def write_state(run_dir: Path, state: SupervisorState) -> None:
    """Replaces the state file atomically."""
    draft = run_dir / f".supervisor.{os.getpid()}.json"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(state)))
    draft.replace(run_dir / "supervisor.json")


def read_state(run_dir: Path) -> SupervisorState | None:
    """The state of the supervisor running on this folder, or None when none does."""
    if not is_locked(run_dir):
        return None
    try:
        return msgspec.json.decode((run_dir / "supervisor.json").read_bytes(), type=SupervisorState)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


class SupervisorLock:
    """Held for the life of a supervisor; the kernel frees it however the process ends.

    Raises:
        AlreadyRunningError: Another supervisor holds it.
    """

    def __init__(self, run_dir: Path) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(run_dir / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(self._descriptor, 20).decode().strip()
            os.close(self._descriptor)
            raise AlreadyRunningError(
                f"Understudy already runs on {run_dir.parent} (pid {holder or 'unknown'}): see `understudy status`, "
                "stop it with `understudy down`, or set DATA_DIR to another folder."
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, str(os.getpid()).encode())

    def release(self) -> None:
        """Gives the folder up. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def is_locked(run_dir: Path) -> bool:
    """Whether a supervisor runs on this folder."""
    try:
        descriptor = os.open(run_dir / "supervisor.lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
