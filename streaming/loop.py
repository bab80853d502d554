"""The reader loop: read → effect → offset, in that order, for every reader of the log.

One mechanism for every log and every sink. The offset is kept only after the effect is durable, and every effect
is idempotent (its rows or events have deterministic ids), so a crash between the two repeats a batch and changes
nothing. This stands in for a transaction over both: a batch that spans two sinks (two day files, a log and a
store) could have none, so the effect must be safe to repeat anyway.

What the loop does with an effect's failure:
    StoreUnavailableError, LogUnavailableError    the same batch again after a jittered pause; nothing is read meanwhile
    StoreRefusedError and everything else         raised: the process ends unhealthy, nothing was committed
"""

import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from streaming.errors import LogUnavailableError, StoreUnavailableError
from streaming.log import EventReader, LogRecord
from streaming.metrics import STORE_PAUSES

logger = logging.getLogger("understudy.streaming")


class Effect(Protocol):
    """What a reader does with a batch. Idempotent; returns when its result is durable."""

    def __call__(self, records: Sequence[LogRecord], /) -> None:
        """Takes the batch whole, or raises and may be offered it again.

        Raises:
            StoreUnavailableError: Offer the same batch again later.
            LogUnavailableError: The same, from an effect that appends to a log.
            StoreRefusedError: Stop the reader: a person must act.
        """


@dataclass(frozen=True)
class LoopPolicy:
    """How a reader reads.

    Attributes:
        max_records: Most records of one batch.
        poll_seconds: Longest wait for the first record, hence also for a stop to be noticed.
        first_pause_seconds: Upper end of the first pause after a failed effect; each further one doubles.
        longest_pause_seconds: Where the doubling ends.
    """

    max_records: int = 1_000
    poll_seconds: float = 1.0
    first_pause_seconds: float = 0.2
    longest_pause_seconds: float = 15.0

    def pause_seconds(self, failures: int, position: float) -> float:
        """Pause after `failures` failures in a row, `position` in [0, 1) of the way through its spread.

        Half of the pause is fixed and half is spread, so that readers of one sink do not come back together.

        >>> LoopPolicy(first_pause_seconds=1.0, longest_pause_seconds=3.0).pause_seconds(2, 0.5)
        1.5
        """
        ceiling = min(self.longest_pause_seconds, self.first_pause_seconds * 2.0 ** min(failures - 1, 30))
        return ceiling * (0.5 + position / 2)


def next_offsets(records: Sequence[LogRecord]) -> Mapping[str, int]:
    """The offset to read next in each partition once `records` are done with."""
    return {record.partition: record.offset + 1 for record in records}


def _do_nothing() -> None:
    pass


def run_loop(
    reader: EventReader,
    effect: Effect,
    stop: threading.Event,
    policy: LoopPolicy | None = None,
    *,
    between: Callable[[], None] = _do_nothing,
    spread: Callable[[], float] = random.random,
) -> None:
    """Reads until `stop` is set. The reader stays open and belongs to the caller.

    Args:
        reader: Where batches come from and offsets are kept.
        effect: What is done with each batch.
        stop: Ends the loop after the batch in hand, or at once during a pause (that batch is not committed).
        policy: Batch size and pauses; the default ones when None.
        between: Called after every batch and every fruitless poll, never during a batch: housekeeping.
        spread: Source of the jitter, in [0, 1).

    Raises:
        StoreRefusedError: A person must act; the batch was not committed.
    """
    chosen = policy or LoopPolicy()
    while not stop.is_set():
        records = reader.poll(chosen.max_records, chosen.poll_seconds)
        if records:
            if not _carry_out(effect, records, stop, chosen, spread=spread):
                return
            reader.commit(next_offsets(records))
        between()


def _carry_out(
    effect: Effect,
    records: Sequence[LogRecord],
    stop: threading.Event,
    policy: LoopPolicy,
    *,
    spread: Callable[[], float],
) -> bool:
    """Offers the batch until it is taken; False when told to stop before that."""
    failures = 0
    while True:
        try:
            effect(records)
        except (StoreUnavailableError, LogUnavailableError) as error:
            failures += 1
            seconds = policy.pause_seconds(failures, spread())
            STORE_PAUSES.inc()
            logger.warning(
                "reader_paused", extra={"reason": str(error), "failures": failures, "pause_seconds": round(seconds, 3)}
            )
            if stop.wait(seconds):
                return False
        else:
            return True
