"""Cursor: reads one partition, from a sequence on, past whatever is damaged."""

import logging
import os
from datetime import datetime
from pathlib import Path

from streaming.log import LogRecord
from streaming.metrics import LOG_GAP_EVENTS, LOG_QUARANTINED_BYTES, LOG_QUARANTINED_EVENTS, LOG_TORN_TAILS
from streaming.segments.frames import decode_run, find_frame
from streaming.segments.layout import is_live, mark_torn, quarantine, removed_partition, segment_path, segments_of
from streaming.segments.receive_time import first_received

_log = logging.getLogger("understudy.streaming")

_CHUNK_BYTES = 1 << 20


class Cursor:
    """Position in one partition. Not thread-safe.

    What is read but not yet handed out is beyond recall: of a live segment nothing after the last closing
    frame is taken, because the writer may cut that back and write something else there.
    """

    def __init__(self, folder: Path, offset: int | None, start: datetime | None) -> None:
        """Begins at `offset`, or without one at the first event received at or after `start`, or at the beginning."""
        self._folder = folder
        self._start = start
        self._began: int | None = None
        self._offset = offset  # where to go on once the values at hand are handed out
        self._first: int | None = None  # the segment being read
        self._ceiling: int | None = None  # where the next segment begins
        self._position = 0
        self._sequence = 0  # what the frame at the position must begin with
        self._values: list[bytes] = []
        self._values_first = 0
        self._taken = 0
        self._suspect: tuple[int | None, int] | None = None
        self._live = True
        self._ended = False
        self.look()

    @property
    def finished(self) -> bool:
        """Whether there is nothing left and never will be."""
        return self._ended and self._taken == len(self._values)

    @property
    def passed(self) -> range:
        """From the sequence after the last event handed out to the next that may be: what was lost between them."""
        reached = self._offset if self._taken == len(self._values) else self._values_first + self._taken
        handed = self._values_first + self._taken if self._values else self._began
        return range(handed or 0, reached or 0)

    def look(self) -> None:
        """Asks the folder for new segments and whether the writer lives."""
        if self._ended:
            return
        self._live = is_live(self._folder)  # before the segments: what a dead writer left is then all there is
        segments = segments_of(self._folder)
        if not segments:
            self._vanish()
            return
        if self._first is None:
            self._begin(segments)
        elif self._first not in segments:
            self._enter(next((first for first in segments if first >= self._sequence), segments[-1]))
        assert self._first is not None
        first = self._first
        self._ceiling = next((following for following in segments if following > first), None)

    def take(self, limit: int) -> list[LogRecord]:
        """Up to `limit` records from here on; none when there is nothing new."""
        if self._taken == len(self._values) and not self._fill():
            return []
        values = self._values[self._taken : self._taken + limit]
        first, partition = self._values_first + self._taken, self._folder.name
        self._taken += len(values)
        return [LogRecord(partition, first + index, value) for index, value in enumerate(values)]

    def _begin(self, segments: list[int]) -> None:
        if self._offset is None:
            received = None if self._start is None else first_received(self._folder, segments, self._start)
            self._offset = segments[0] if received is None else received
        offset = self._began = self._offset
        self._enter(max((first for first in segments if first <= offset), default=segments[0]))

    def _enter(self, first: int) -> None:
        """Goes to the beginning of a segment; what was deleted before it was read is a gap."""
        assert self._offset is not None
        if first > self._offset:
            _count_gap(self._folder.name, range(self._offset, first))
            self._offset = first
        self._first, self._ceiling = first, None
        self._position, self._sequence = 0, first

    def _vanish(self) -> None:
        span = removed_partition(self._folder.parent, self._folder.name)
        if span is not None and self._offset is not None and span.next > self._offset:
            _count_gap(self._folder.name, range(self._offset, span.next))
        self._ended = True

    def _fill(self) -> bool:
        """Reads on until there are values; False when there is nothing more for now."""
        while not self._ended and self._step():
            if self._taken < len(self._values):
                return True
        return False

    def _step(self) -> bool:
        """A chunk, a damaged range or a segment further; False when there is no such step for now."""
        final = self._ceiling is not None or not self._live
        size = _CHUNK_BYTES
        while True:
            data = self._read(size)
            if data is None:
                self.look()
                return not self._ended
            if self._decode(data, closing=not final):
                return True
            if len(data) < size:
                return self._past_damage(data, final=final)
            size *= 8

    def _read(self, size: int) -> bytes | None:
        """Bytes from the position on; None when the segment is gone."""
        assert self._first is not None
        # opened anew each time: a segment given up while empty is replaced by another of the same name
        try:
            file = os.open(segment_path(self._folder, self._first), os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            return os.pread(file, size, self._position)
        finally:
            os.close(file)

    def _decode(self, data: bytes, *, closing: bool) -> bool:
        run = decode_run(data, self._sequence, ceiling=self._ceiling, closing=closing)
        assert self._offset is not None
        skipped = max(0, self._offset - self._sequence)
        if len(run.values) > skipped:
            self._values, self._values_first, self._taken = run.values[skipped:], self._sequence + skipped, 0
        self._sequence += len(run.values)
        self._offset = max(self._offset, self._sequence)
        self._position += run.used
        return bool(run.used)

    def _past_damage(self, data: bytes, *, final: bool) -> bool:
        """Deals with bytes that are no frame of the right sequence, up to the end of the segment."""
        withheld = decode_run(data, self._sequence, ceiling=self._ceiling)
        frame = find_frame(data, withheld.used, self._sequence + len(withheld.values))
        if frame is None or (self._ceiling is not None and frame.first >= self._ceiling):
            return self._end_of_segment(data)
        if not final and self._first_doubt():
            # a write under way is seen from its beginning on, but a second look costs less than trusting that
            return False
        if withheld.used:
            return self._decode(data[: withheld.used], closing=False)
        if not self._quarantine(frame.first, data[: frame.start]):
            return False
        self._position += frame.start
        return True

    def _end_of_segment(self, data: bytes) -> bool:
        if self._ceiling is not None:
            if self._ceiling > self._sequence:
                if self._first_doubt():
                    # a folder read while two segments were made may show the second only
                    self.look()
                    return True
                if not self._quarantine(self._ceiling, data):
                    return False
            self._enter(self._ceiling)
            self.look()
            return True
        if not self._live:
            if data and mark_torn(self._folder):
                LOG_TORN_TAILS.inc()
                _log.warning("log_torn_tail", extra={"log_partition": self._folder.name, "bytes": len(data)})
            self._ended = True
        return False

    def _first_doubt(self) -> bool:
        """Whether what stands at the position is met for the first time."""
        place = (self._first, self._position)
        known, self._suspect = self._suspect == place, place
        return not known

    def _quarantine(self, following: int, damaged: bytes) -> bool:
        """Copies damaged bytes aside and goes on with the sequence `following`; False while they cannot be copied."""
        lost = range(self._sequence, following)
        try:
            fresh = quarantine(self._folder.parent, self._folder.name, lost, damaged)
        except OSError as error:
            _log.warning("log_quarantine_failed", extra={"log_partition": self._folder.name, "reason": str(error)})
            return False
        if fresh:
            LOG_QUARANTINED_EVENTS.inc(len(lost))
            LOG_QUARANTINED_BYTES.inc(len(damaged))
            _log.error(
                "log_quarantined",
                extra={"log_partition": self._folder.name, "first": lost.start, "events": len(lost)},
            )
        self._sequence = following
        assert self._offset is not None
        self._offset = max(self._offset, following)
        return True


def _count_gap(partition: str, lost: range) -> None:
    LOG_GAP_EVENTS.inc(len(lost))
    _log.warning("log_gap", extra={"log_partition": partition, "first": lost.start, "events": len(lost)})
