"""Committed offsets of one group: one file, replaced by rename, only ever forward."""

import fcntl
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from streaming.segments.layout import removed_partition, write_atomically

_log = logging.getLogger("understudy.streaming")


class GroupOffsets:
    """The offsets of one group, and which of its readers is the active one.

    Any number of readers may look; the first to `activate` reads and commits until it closes or dies, the
    others stand by.
    """

    def __init__(self, log_dir: Path, group: str) -> None:
        if not group or group.startswith(".") or "/" in group:
            raise ValueError(f"group name {group!r}: use letters, digits, '-', '_' and '.' and do not begin with '.'")
        self._log_dir = log_dir
        self._group = group
        self._path = log_dir / ".groups" / f"{group}.json"
        self._lock: int | None = None
        self._offsets: dict[str, int] = {}

    def activate(self) -> bool:
        """Whether this is the group's active reader; becomes it when nobody is. Loads what was committed."""
        if self._lock is not None:
            return True
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock = lock
        self._offsets = read_offsets(self._log_dir, self._group)
        return True

    def offset(self, partition: str) -> int | None:
        """The committed offset of a partition, None when the group never committed it."""
        return self._offsets.get(partition)

    @property
    def committed_any(self) -> bool:
        """Whether this reader's group has ever committed."""
        return bool(self._offsets)

    def commit(self, offsets: Mapping[str, int]) -> None:
        """Keeps offsets; those behind what is kept are ignored, as are all of a reader standing by."""
        if not self.activate():
            _log.warning("log_commit_dropped", extra={"group": self._group, "reason": "another reader is active"})
            return
        ahead = {name: offset for name, offset in offsets.items() if offset > self._offsets.get(name, -1)}
        if not ahead:
            return
        kept = {name: offset for name, offset in self._offsets.items() if self._exists(name)}
        try:
            write_atomically(self._path, json.dumps(kept | ahead).encode())
        except OSError as error:
            # Read again after a restart rather than stop reading: on a full disk only reading on makes room.
            _log.warning("log_commit_failed", extra={"group": self._group, "reason": str(error)})
        else:
            self._offsets = kept | ahead

    def committed(self) -> dict[str, int]:
        """What is kept, by partition; a deleted partition counts as read to its end."""
        offsets = self._offsets if self._lock is not None else read_offsets(self._log_dir, self._group)
        return removed_ends(self._log_dir) | offsets

    def close(self) -> None:
        """Lets the next reader of the group be active."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _exists(self, partition: str) -> bool:
        return (self._log_dir / partition).exists()


def removed_ends(log_dir: Path) -> dict[str, int]:
    """Next sequence of every deleted partition."""
    names = [path.stem for path in (log_dir / ".ledger").glob("*.json")]
    spans = {name: removed_partition(log_dir, name) for name in names}
    return {name: span.next for name, span in spans.items() if span is not None}


def read_offsets(log_dir: Path, group: str) -> dict[str, int]:
    """Offsets a group has kept; an unreadable file counts as none, so that everything is read again."""
    path = log_dir / ".groups" / f"{group}.json"
    try:
        kept = json.loads(path.read_bytes())
        return {str(name): int(offset) for name, offset in kept.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError):
        _log.warning("log_offsets_unreadable", extra={"group": group, "path": str(path)})
        return {}
