"""Writers die mid-write, readers die anywhere, retention runs at any time: nothing acked is lost or reordered."""

import os
import tempfile
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.log import LogRecord
from streaming.retention import RetentionPolicy, enforce
from streaming.segments.frames import encode_block
from streaming.segments.layout import partitions, quarantine
from streaming.segments.offsets import GroupOffsets
from streaming.segments.reader import SegmentReader
from streaming.segments.room import Room
from streaming.segments.writer import SegmentWriter, WritePolicy

GREEDY = RetentionPolicy("indexer", timedelta(days=7), max_bytes=0, reserve_bytes=0)

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 1), st.lists(st.integers(1, 3), min_size=1, max_size=3)),
        st.tuples(st.just("kill"), st.integers(0, 1), st.integers(0, 60)),
        st.tuples(st.just("read"), st.integers(1, 8)),
        st.tuples(st.just("commit")),
        st.tuples(st.just("kill reader")),
        st.tuples(st.just("retain")),
    ),
    max_size=40,
)


class World:
    """Two writers, each replaced when it is killed, one required reader, and a retention that keeps nothing it may not."""

    def __init__(self, folder: Path) -> None:
        self.log_dir = folder / "log"
        self.now = 0.0
        self.started = 0
        self.acked: dict[str, list[bytes]] = defaultdict(list)
        self.effects: dict[str, dict[int, bytes]] = defaultdict(dict)
        self.writers = [self.new_writer(), self.new_writer()]
        self.uncommitted: list[LogRecord] = []
        self.reader = self.new_reader()

    def new_writer(self) -> SegmentWriter:
        self.started += 1
        room = Room(self.log_dir.parent, max_bytes=1 << 40, reserve_bytes=0, headroom_bytes=0, free=lambda _: None)
        policy = WritePolicy(max_event_bytes=1000, segment_bytes=200, segment_seconds=1e9, sync=False)
        return SegmentWriter(self.log_dir / f"host-{self.started:03d}", policy, room, lambda: 0.0)

    def new_reader(self) -> SegmentReader:
        offsets = GroupOffsets(self.log_dir, "indexer")
        return SegmentReader(self.log_dir, offsets, None, clock=lambda: self.now, wait=self.wait)

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def play(self, step: tuple[object, ...]) -> None:
        match step:
            case ("append", int(index), list(sizes)):
                self.append(self.writers[index], sizes)
            case ("kill", int(index), int(written)):
                self.kill(index, written)
            case ("read", int(limit)):
                self.uncommitted += self.reader.poll(limit, 0.0)
                self.now += 0.1
            case ("commit",):
                self.commit()
            case ("kill reader",):
                self.uncommitted = []
                self.reader.close()
                self.reader = self.new_reader()
            case ("retain",):
                enforce(self.log_dir, GREEDY, datetime.now(UTC))

    def append(self, writer: SegmentWriter, sizes: list[int]) -> None:
        acked = self.acked[writer.partition]
        groups = [
            [b"%d/%d/%d" % (writer.next_sequence, group, row) for row in range(size)]
            for group, size in enumerate(sizes)
        ]
        writer.append(groups)
        acked += [event for group in groups for event in group]

    def kill(self, index: int, written: int) -> None:
        """Kills a writer that had begun a write of which some bytes arrived."""
        writer = self.writers[index]
        unfinished = encode_block([[b"unacked"], [b"unacked"]], writer.next_sequence, 1000).data
        os.write(writer._file, unfinished[:written])
        os.close(writer._lock)
        os.close(writer._file)
        self.writers[index] = self.new_writer()

    def commit(self) -> None:
        for record in self.uncommitted:
            self.effects[record.partition][record.offset] = record.value
        self.reader.commit({record.partition: record.offset + 1 for record in self.uncommitted})
        self.uncommitted = []

    def finish(self) -> None:
        self.play(("kill reader",))
        while records := self.reader.poll(1000, 1.0):
            self.uncommitted += records
        self.commit()
        self.reader.close()
        for writer in self.writers:
            writer.close()

    def read(self) -> dict[str, list[bytes]]:
        return {
            partition: [value for _, value in sorted(found.items()) if value != b"unacked"]
            for partition, found in self.effects.items()
        }


@settings(max_examples=80, deadline=None)
@given(steps=STEPS)
def test_every_acked_event_takes_effect_in_order(steps: list[tuple[object, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        for step in steps:
            world.play(step)
        world.finish()
        spans = partitions(world.log_dir)

        assert {name: found for name, found in world.read().items() if found} == dict(world.acked)
        for name, found in world.effects.items():
            assert sorted(found) == list(range(spans[name].next))
            assert spans[name].quarantined_events == 0


def test_damage_that_grew_is_not_counted_twice(tmp_path: Path) -> None:
    folder = tmp_path / "log" / "host-1"
    folder.mkdir(parents=True)
    (folder / f"{0:020d}.log").touch()
    first = quarantine(tmp_path / "log", "host-1", range(2, 5), b"abc")
    again = quarantine(tmp_path / "log", "host-1", range(2, 5), b"abc")
    quarantine(tmp_path / "log", "host-1", range(2, 8), b"abcdef")
    quarantine(tmp_path / "log", "host-1", range(9, 10), b"z")

    assert (first, again) == (True, False)
    assert partitions(tmp_path / "log")["host-1"].quarantined_events == 7
