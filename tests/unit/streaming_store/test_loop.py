"""The reader loop: effect first, offset after, and what each failure leads to."""

import threading
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import LogUnavailableError, StoreRefusedError, StoreUnavailableError
from streaming.log import LogRecord
from streaming.loop import LoopPolicy, next_offsets, run_loop
from streaming.memory_log import MemoryLog

QUICK = LoopPolicy(max_records=2, poll_seconds=0.0, first_pause_seconds=0.0, longest_pause_seconds=0.0)


class Script:
    """An effect that keeps what it took, fails as told, and stops the loop once it has seen enough."""

    def __init__(self, stop: threading.Event, enough: int, failures: Sequence[Exception] = ()) -> None:
        self.taken: list[bytes] = []
        self.offered: list[list[bytes]] = []
        self._stop, self._enough, self._failures = stop, enough, list(failures)

    def __call__(self, records: Sequence[LogRecord], /) -> None:
        self.offered.append([record.value for record in records])
        if self._failures:
            raise self._failures.pop(0)
        self.taken += [record.value for record in records]
        if len(self.taken) >= self._enough:
            self._stop.set()


@pytest.fixture
def log() -> MemoryLog:
    made = MemoryLog()
    writer = made.writer()
    writer.append([[b"a"], [b"b"], [b"c"]])
    writer.close()
    return made


def test_batches_are_taken_in_order_and_committed(log: MemoryLog) -> None:
    stop = threading.Event()
    effect, reader = Script(stop, 3), log.reader("g")
    run_loop(reader, effect, stop, QUICK)
    assert effect.offered == [[b"a", b"b"], [b"c"]]
    assert list(reader.committed().values()) == [3]


@pytest.mark.parametrize("error", [StoreUnavailableError("away"), LogUnavailableError("full")])
def test_the_same_batch_is_offered_again_while_the_sink_is_away(log: MemoryLog, error: Exception) -> None:
    stop = threading.Event()
    effect = Script(stop, 3, [error, error])
    run_loop(log.reader("g"), effect, stop, QUICK)
    assert effect.offered == [[b"a", b"b"], [b"a", b"b"], [b"a", b"b"], [b"c"]]
    assert effect.taken == [b"a", b"b", b"c"]


@pytest.mark.parametrize("error", [StoreRefusedError("no such index"), ZeroDivisionError()])
def test_any_other_failure_ends_the_loop_without_a_commit(log: MemoryLog, error: Exception) -> None:
    stop, reader = threading.Event(), log.reader("g")
    with pytest.raises(type(error)):
        run_loop(reader, Script(stop, 3, [error]), stop, QUICK)
    assert not any(reader.committed().values())


def test_nothing_is_committed_before_the_effect_is_done(log: MemoryLog) -> None:
    stop, reader = threading.Event(), log.reader("g")
    seen: list[int] = []

    def effect(_records: Sequence[LogRecord], /) -> None:
        seen.append(sum(reader.committed().values()))
        if len(seen) == 2:
            stop.set()

    run_loop(reader, effect, stop, QUICK)
    assert seen == [0, 2]


def test_a_stop_during_a_pause_leaves_the_batch_for_the_next_start(log: MemoryLog) -> None:
    stop, reader = threading.Event(), log.reader("g")

    def effect(_records: Sequence[LogRecord], /) -> None:
        stop.set()
        raise StoreUnavailableError("away")

    run_loop(reader, effect, stop, LoopPolicy(first_pause_seconds=3600.0, longest_pause_seconds=3600.0))
    assert not any(reader.committed().values())


def test_housekeeping_runs_after_every_batch_and_when_there_is_nothing_to_read(log: MemoryLog) -> None:
    stop = threading.Event()
    effect = Script(threading.Event(), 99)
    seen: list[int] = []

    def between() -> None:
        seen.append(len(effect.taken))
        if len(seen) == 3:
            stop.set()

    run_loop(log.reader("g"), effect, stop, QUICK, between=between)
    assert seen == [2, 3, 3]


def test_next_offsets_are_one_past_the_last_of_each_partition(record: Callable[..., LogRecord]) -> None:
    batch = [record(3, "a"), record(9, "b"), record(4, "a")]
    assert next_offsets(batch) == {"a": 5, "b": 10}


@given(failures=st.integers(1, 10_000), position=st.floats(0, 1, exclude_max=True))
def test_pauses_grow_to_their_limit_and_never_beyond(failures: int, position: float) -> None:
    policy = LoopPolicy(first_pause_seconds=0.5, longest_pause_seconds=8.0)
    pause = policy.pause_seconds(failures, position)
    assert 0.25 <= pause <= 8.0
    assert pause <= policy.pause_seconds(failures + 1, position)
