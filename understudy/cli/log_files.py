"""logs: the newest lines of the processes' log files."""

import sys
import time
from pathlib import Path

from understudy.errors import FrontDoorError
from understudy.settings import UnderstudySettings

_TAIL_BYTES = 1_000_000


def show(role: str, *, lines: int, follow: bool) -> int:
    """Prints the newest lines, then what is added until interrupted."""
    logs_dir = UnderstudySettings().data_dir / "logs"
    paths = _paths(logs_dir, role)
    for path in paths:
        for line in _tail(path, lines):
            _print(path, line, several=len(paths) > 1)
    if follow:
        _follow(paths)
    return 0


def _paths(logs_dir: Path, role: str) -> list[Path]:
    every = sorted(logs_dir.glob("*.log"))
    chosen = [path for path in every if not role or path.stem == role or path.stem.startswith(f"{role}-")]
    if not chosen:
        there = ", ".join(path.stem for path in every) or "none yet"
        raise FrontDoorError(f"No log {role!r} in {logs_dir.absolute()}. There: {there}.")
    return chosen


def _tail(path: Path, lines: int) -> list[str]:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return file.read().decode("utf-8", "replace").splitlines()[-lines:] if lines > 0 else []


def _print(path: Path, line: str, *, several: bool) -> None:
    sys.stdout.write(f"{path.stem:<12} {line}\n" if several else f"{line}\n")


def _follow(paths: list[Path]) -> None:
    ends = {path: path.stat().st_size for path in paths}
    try:
        while True:
            for path in paths:
                ends[path] = _print_from(path, ends[path], several=len(paths) > 1)
            sys.stdout.flush()
            time.sleep(0.2)
    except KeyboardInterrupt:
        return


def _print_from(path: Path, end: int, *, several: bool) -> int:
    size = path.stat().st_size
    if size < end:  # it became .log.1 meanwhile
        end = 0
    if size > end:
        with path.open("rb") as file:
            file.seek(end)
            added = file.read(size - end)
        for line in added.decode("utf-8", "replace").splitlines():
            _print(path, line, several=several)
    return size
