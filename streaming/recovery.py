"""Reads events again that the store has lost although their offsets were kept: after a power cut, or a deleted file.

The offsets and the store are two files, and neither waits for the device, because the log is the ack. When the
machine (not just a process) stops, the store may come back older than the offsets. What is then missing per
partition is known exactly, and the log still has it for its retention; storing an event again changes nothing.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from streaming.log import EventReader
from streaming.loop import Effect

logger = logging.getLogger("understudy.streaming")

_MAX_RECORDS = 1_000
_POLL_SECONDS = 0.5
_FRUITLESS_POLLS = 20  # a reader is fair between partitions: what comes not in so many does not come


def read_again(reader: EventReader, effect: Effect, short: Mapping[str, int]) -> None:
    """Offers the effect every record of the partitions in `short` that lies before the offset given there.

    Args:
        reader: One of a group that has committed nothing; nothing is committed.
        effect: Stores records, idempotently.
        short: Per partition where the ordinary reader goes on.
    """
    fruitless = 0
    while fruitless < _FRUITLESS_POLLS:
        records = reader.poll(_MAX_RECORDS, _POLL_SECONDS)
        if not records:
            return
        wanted = [record for record in records if record.offset < short.get(record.partition, 0)]
        fruitless = 0 if wanted else fruitless + 1
        if wanted:
            effect(wanted)


class GivenUp:
    """Remembers what could not be read again, so that it is not tried at every start."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def new_among(self, lost: Mapping[str, int]) -> dict[str, int]:
        """Partitions that have lost another number of events than was given up."""
        given_up = self._read()
        return {partition: events for partition, events in lost.items() if given_up.get(partition) != events}

    def write(self, lost: Mapping[str, int]) -> None:
        """Gives these up."""
        temporary = self._path.with_suffix(".tmp")
        temporary.write_bytes(msgspec.json.encode(dict(lost)))
        temporary.replace(self._path)

    def _read(self) -> dict[str, int]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, int])
        except (FileNotFoundError, msgspec.DecodeError):
            return {}
