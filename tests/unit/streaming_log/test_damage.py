"""Whatever happens to the bytes: intact frames are read, in order, under their own offsets."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.metrics import LOG_GAP_EVENTS
from streaming.segments.frames import find_frame
from streaming.segments.layout import PartitionSpan, partitions, segment_path, segments_of
from streaming.segments.offsets import GroupOffsets
from streaming.segments.reader import SegmentReader
from streaming.segments.room import Room
from streaming.segments.writer import SegmentWriter, WritePolicy

WRITES = st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3), min_size=1, max_size=12)


@dataclass
class Clock:
    """Time that passes only while somebody waits."""

    now: float = 0.0
    waited: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


class Place(NamedTuple):
    """Where a frame lies, and which sequences it holds."""

    path: Path
    start: int
    end: int
    sequences: range


class Bench:
    """A log with one partition of tiny segments."""

    def __init__(self, folder: Path) -> None:
        self.log_dir = folder / "log"
        self.folder = self.log_dir / "host-1"
        self.clock = Clock()
        policy = WritePolicy(max_event_bytes=1000, segment_bytes=200, segment_seconds=1e9, sync=False)
        room = Room(folder, max_bytes=1 << 40, reserve_bytes=0, headroom_bytes=0, free=lambda _: None)
        self.writer = SegmentWriter(self.folder, policy, room, self.clock)
        self.acked = 0

    def append(self, sizes: list[int]) -> None:
        numbers = iter(range(self.acked, self.acked + sum(sizes)))
        self.writer.append([[b"event-%d" % next(numbers) for _ in range(size)] for size in sizes])
        self.acked += sum(sizes)

    def crash(self) -> None:
        """What the kernel does for a killed process."""
        os.close(self.writer._lock)
        os.close(self.writer._file)

    def places(self) -> list[Place]:
        places: list[Place] = []
        for first in segments_of(self.folder):
            path, sequence = segment_path(self.folder, first), first
            data = path.read_bytes()
            frame = find_frame(data, 0, sequence)
            while frame is not None:
                sequence = frame.first + frame.events
                places.append(Place(path, frame.start, frame.end, range(frame.first, sequence)))
                frame = find_frame(data, frame.end, sequence)
        return places

    def read(self) -> list[int]:
        """Reads to the end, checks that offset and event belong together, and returns the sequences."""
        reader = SegmentReader(
            self.log_dir, GroupOffsets(self.log_dir, "g"), None, clock=self.clock, wait=self.clock.wait
        )
        sequences: list[int] = []
        while records := reader.poll(5, 1.0):
            assert [record.value for record in records] == [b"event-%d" % record.offset for record in records]
            sequences += [record.offset for record in records]
        reader.close()
        return sequences

    def span(self) -> PartitionSpan:
        return partitions(self.log_dir)[self.folder.name]


@contextmanager
def bench() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as folder:
        yield Bench(Path(folder))


def written(bench: Bench, writes: list[list[int]]) -> list[Place]:
    for sizes in writes:
        bench.append(sizes)
    return bench.places()


def without(bench: Bench, lost: list[Place]) -> list[int]:
    gone = {sequence for place in lost for sequence in place.sequences}
    return [sequence for sequence in range(bench.acked) if sequence not in gone]


@settings(max_examples=50, deadline=None)
@given(writes=WRITES, dead=st.booleans(), draw=st.data())
def test_a_changed_byte_costs_exactly_its_frame(writes: list[list[int]], dead: bool, draw: st.DataObject) -> None:
    with bench() as log:
        places = written(log, writes)
        hit = draw.draw(st.sampled_from(places))
        data = bytearray(hit.path.read_bytes())
        data[draw.draw(st.integers(hit.start, hit.end - 1))] ^= draw.draw(st.integers(1, 255))
        hit.path.write_bytes(data)
        log.append([1])  # so that the damage is no tail
        if dead:
            log.crash()

        assert log.read() == without(log, [hit])
        assert log.read() == without(log, [hit])
        assert log.span().quarantined_events == len(hit.sequences)


@settings(max_examples=50, deadline=None)
@given(writes=WRITES, draw=st.data())
def test_a_truncated_segment_costs_what_was_cut_off(writes: list[list[int]], draw: st.DataObject) -> None:
    with bench() as log:
        places = written(log, writes)
        hit = draw.draw(st.sampled_from(places))
        cut = draw.draw(st.integers(hit.start, hit.end - 1))
        os.truncate(hit.path, cut)
        log.crash()
        lost = [place for place in places if place.path == hit.path and place.end > cut]
        tail = hit.path == places[-1].path

        assert log.read() == without(log, lost)
        assert log.span().quarantined_events == (0 if tail else sum(len(place.sequences) for place in lost))
        assert bool(log.span().torn_bytes) == (tail and cut > hit.start)


@settings(max_examples=30, deadline=None)
@given(writes=WRITES, junk=st.binary(min_size=1, max_size=300))
def test_junk_at_the_end_of_a_dead_partition_is_a_torn_tail(writes: list[list[int]], junk: bytes) -> None:
    with bench() as log:
        places = written(log, writes)
        with places[-1].path.open("ab") as file:
            file.write(junk)
        log.crash()

        assert log.read() == list(range(log.acked))
        assert log.span() == PartitionSpan(0, log.acked, live=False, torn_bytes=len(junk))


@settings(max_examples=30, deadline=None)
@given(writes=WRITES, cut=st.integers(1, 40))
def test_an_unfinished_write_of_a_living_writer_is_not_there_yet(writes: list[list[int]], cut: int) -> None:
    with bench() as log:
        last = written(log, writes)[-1]
        whole = last.path.read_bytes()
        os.truncate(last.path, max(last.start, last.end - cut))
        unfinished = range(log.acked - sum(writes[-1]), log.acked)

        assert log.read() == list(range(unfinished.start))
        last.path.write_bytes(whole)
        assert log.read() == list(range(log.acked))
        assert log.span().quarantined_bytes == 0


def test_a_segment_that_disappeared_before_others_is_counted_as_lost() -> None:
    with bench() as log:
        places = written(log, [[1]] * 12)
        middle = next(place for place in places if place.sequences.start and place.start == 0)
        middle.path.unlink()

        lost = [place for place in places if place.path == middle.path]
        assert log.read() == without(log, lost)
        assert log.span().quarantined_events == len(lost)


def test_the_damaged_bytes_are_kept_aside() -> None:
    with bench() as log:
        first, _ = written(log, [[1], [1]])
        damaged = bytearray(first.path.read_bytes())
        damaged[first.end - 1] ^= 1
        first.path.write_bytes(damaged)
        log.read()

        (kept,) = (log.log_dir / ".quarantine").iterdir()
        assert kept.read_bytes() == bytes(damaged[: first.end])


def test_reading_goes_on_where_it_was_while_damage_is_met_and_segments_are_added() -> None:
    with bench() as log:
        reader = SegmentReader(log.log_dir, GroupOffsets(log.log_dir, "g"), None, clock=log.clock, wait=log.clock.wait)
        offsets: list[int] = []
        for number in range(30):
            log.append([1])
            if number == 17:
                hit = log.places()[-1]
                data = bytearray(hit.path.read_bytes())
                data[-1] ^= 1
                hit.path.write_bytes(data)
            offsets += [record.offset for record in reader.poll(10, 0.3)]

        assert offsets == [number for number in range(30) if number != 17]


def test_what_was_lost_at_the_end_of_a_segment_counts_as_read() -> None:
    with bench() as log:
        places = written(log, [[1]] * 6)
        end_of_first = max(place for place in places if place.path == places[0].path)
        os.truncate(end_of_first.path, end_of_first.start)
        log.crash()
        left = [place for place in places if place.path != places[0].path]
        os.truncate(left[0].path, 0)  # the last segment holds nothing: no event comes after the loss
        reader = SegmentReader(log.log_dir, GroupOffsets(log.log_dir, "g"), None, clock=log.clock, wait=log.clock.wait)
        records = reader.poll(100, 1.0)
        reader.commit({records[-1].partition: records[-1].offset + 1})

        assert reader.poll(100, 1.0) == []
        assert reader.committed() == {"host-1": log.span().next}
        assert sum(reader.lag().values()) == 0


def test_what_a_reader_was_not_handed_yet_is_not_committed_for_it() -> None:
    with bench() as log:
        written(log, [[1]] * 12)
        reader = SegmentReader(log.log_dir, GroupOffsets(log.log_dir, "g"), None, clock=log.clock, wait=log.clock.wait)
        first = reader.poll(2, 1.0)
        reader.commit({"host-1": 1})
        reader.poll(3, 1.0)
        reader.commit({})

        assert [record.offset for record in first] == [0, 1]
        assert reader.committed() == {"host-1": 1}


def test_what_was_handed_out_but_not_committed_is_not_committed_with_the_loss_behind_it() -> None:
    with bench() as log:
        places = written(log, [[1]] * 6)
        os.truncate(places[4].path, places[4].start)
        os.truncate(places[5].path, 0)
        log.crash()
        reader = SegmentReader(log.log_dir, GroupOffsets(log.log_dir, "g"), None, clock=log.clock, wait=log.clock.wait)
        records = reader.poll(100, 1.0)
        reader.commit({"host-1": 2})
        reader.poll(100, 1.0)

        assert len(records) == 4
        assert reader.committed() == {"host-1": 2}


def test_what_was_deleted_before_a_reader_came_to_it_is_a_counted_gap() -> None:
    with bench() as log:
        places = written(log, [[1]] * 11)
        reader = SegmentReader(log.log_dir, GroupOffsets(log.log_dir, "g"), None, clock=log.clock, wait=log.clock.wait)
        reader.commit({"host-1": reader.poll(1, 1.0)[-1].offset + 1})
        reader.close()
        places[0].path.unlink()
        before = LOG_GAP_EVENTS._value.get()

        assert log.read() == [5, 6, 7, 8, 9, 10]
        assert LOG_GAP_EVENTS._value.get() - before == 4
        assert log.span().quarantined_events == 0


def test_while_nothing_can_be_written_reading_goes_on_and_damage_waits() -> None:
    with bench() as log:
        first, *_ = written(log, [[1]] * 7)
        data = bytearray(first.path.read_bytes())
        data[-1] ^= 1  # the last event of the first segment
        first.path.write_bytes(data)
        (log.log_dir / ".quarantine").write_text("a file where the folder should be")
        reader = SegmentReader(log.log_dir, GroupOffsets(log.log_dir, "g"), None, clock=log.clock, wait=log.clock.wait)
        before = [record.offset for record in reader.poll(100, 1.0)]
        stuck = reader.poll(100, 1.0)
        (log.log_dir / ".quarantine").unlink()

        assert (before, stuck) == ([0, 1, 2, 3], [])
        assert [record.offset for record in reader.poll(100, 1.0)] == [5, 6]
