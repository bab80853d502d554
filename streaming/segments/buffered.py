"""BufferedWriter: DURABILITY=none, appended from a thread of its own a moment later."""

import logging
import threading
from collections.abc import Sequence

from streaming.errors import LogFullError, LogUnavailableError
from streaming.segments.frames import encode_block
from streaming.segments.writer import SegmentWriter

_log = logging.getLogger("understudy.streaming")

_MOMENT_SECONDS = 0.05
_MAX_WAITING_BYTES = 64 << 20


class BufferedWriter:
    """Takes events into memory and appends them within a moment; see `EventWriter`.

    What waits is lost with the process. While the log does not take it, it is offered again, until more than
    64 MiB wait: then `append` raises LogFullError.
    """

    blocks = False

    def __init__(self, writer: SegmentWriter) -> None:
        self._writer = writer
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._waiting: list[Sequence[bytes]] = []
        self._waiting_bytes = 0
        self._thread = threading.Thread(target=self._run, name="log-flush", daemon=True)
        self._thread.start()

    def append(self, groups: Sequence[Sequence[bytes]]) -> None:
        """Keeps the groups in memory; see `EventWriter.append`."""
        size = len(encode_block(groups, 0, self._writer.max_event_bytes).data)
        with self._guard:
            if self._stop.is_set():
                raise LogUnavailableError("this writer is closed: open another")
            if self._waiting_bytes + size > _MAX_WAITING_BYTES:
                raise LogFullError("the log does not take events and 64 MiB of them wait: see the log of this process")
            self._waiting += groups
            self._waiting_bytes += size

    def close(self) -> None:
        """Appends what waits and gives the partition up. Idempotent."""
        with self._guard:
            self._stop.set()
        self._thread.join()
        self._writer.close()

    def _run(self) -> None:
        while not self._stop.wait(_MOMENT_SECONDS):
            self._flush()
        if not self._flush():
            _log.error("log_events_dropped", extra={"groups": len(self._waiting)})

    def _flush(self) -> bool:
        """Appends what waits; False when the log did not take it."""
        with self._guard:
            groups, self._waiting = self._waiting, []
            size, self._waiting_bytes = self._waiting_bytes, 0
        try:
            self._writer.append(groups)
        except LogUnavailableError as error:
            _log.warning("log_flush_failed", extra={"reason": str(error)})
            with self._guard:
                self._waiting = [*groups, *self._waiting]
                self._waiting_bytes += size
            return False
        return True
