"""How much may still be appended: LOG_MAX_BYTES and the disk's reserve, looked up at most once a second."""

import os
from collections.abc import Callable
from pathlib import Path

from streaming.errors import LogFullError
from streaming.segments.layout import bytes_on_disk

_REFRESH_SECONDS = 1.0
_AMPLE_REFRESH_SECONDS = 10.0

Free = Callable[[int], object]


class Room:
    """Admits appends against a cached budget. Time is passed in, in seconds of any clock that only goes forward."""

    def __init__(self, log_dir: Path, *, max_bytes: int, reserve_bytes: int, headroom_bytes: int, free: Free) -> None:
        """Args: `free(n)` deletes what may go from the log so that `n` more bytes fit, as far as it can."""
        self._log_dir = log_dir
        self._max_bytes = max_bytes
        self._reserve_bytes = reserve_bytes
        self._headroom_bytes = headroom_bytes
        self._free = free
        self._budget = 0
        self._refresh_at = float("-inf")
        self._retry_at = float("-inf")

    def admit(self, size: int, now: float, *, look_again: bool = False) -> bool:
        """Takes `size` bytes from the budget; False when they do not fit.

        The disk is asked when the budget is used up or old, but not within a second of a no, unless `look_again`.
        """
        if look_again or ((now >= self._refresh_at or size > self._budget) and now >= self._retry_at):
            self._refresh(size, now)
        if size > self._budget:
            return False
        self._budget -= size
        return True

    def exhausted(self) -> None:
        """Forgets the budget: the disk said no."""
        self._budget = 0

    def _refresh(self, size: int, now: float) -> None:
        self._budget = self._measure()
        # looking takes some 15 µs a partition, in the event loop: less often while half of the log is free
        ample = self._budget > self._max_bytes / 2
        self._refresh_at = now + (_AMPLE_REFRESH_SECONDS if ample else _REFRESH_SECONDS)
        if size > self._budget:
            # a quarter of a segment at a time, not event by event
            self._free(max(size, self._headroom_bytes))
            self._budget = self._measure()
        if size > self._budget:
            self._retry_at = now + _REFRESH_SECONDS

    def _measure(self) -> int:
        disk = os.statvfs(self._log_dir)
        on_disk = disk.f_bavail * disk.f_frsize - self._reserve_bytes
        return max(0, min(on_disk, self._max_bytes - bytes_on_disk(self._log_dir)))

    def full_error(self) -> LogFullError:
        """Says which limit was met and what to do."""
        return LogFullError(
            f"the log in {self._log_dir} is full (LOG_MAX_BYTES={self._max_bytes}, "
            f"LOG_RESERVE_BYTES={self._reserve_bytes}) and its required reader has not read what is left: "
            "start the reader, free the disk, or raise the limit"
        )
