"""What fails is cut back or given up, and never acked; what is acked stays readable."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streaming.errors import LogFullError, LogUnavailableError
from streaming.segments import SegmentLog
from streaming.segments.layout import is_live, partitions, segments_of
from streaming.segments.room import Room
from streaming.segments.writer import SegmentWriter, WritePolicy
from streaming.settings import StreamingSettings


def writer_in(folder: Path, *, segment_seconds: float = 1e9, sync: bool = False) -> SegmentWriter:
    room = Room(folder, max_bytes=1 << 40, reserve_bytes=0, headroom_bytes=0, free=lambda _: None)
    policy = WritePolicy(max_event_bytes=100_000, segment_bytes=1 << 20, segment_seconds=segment_seconds, sync=sync)
    return SegmentWriter(folder / "log" / "host-1", policy, room, lambda: 0.0)


def read(folder: Path) -> list[tuple[int, bytes]]:
    reader = SegmentLog(StreamingSettings(data_dir=folder)).reader(f"g{datetime.now(UTC).timestamp()}")
    records = reader.poll(1000, 0.0)
    reader.close()
    return [(record.offset, record.value) for record in records]


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def replace_descriptor(writer: SegmentWriter, path: Path | str, flags: int) -> None:
    other = os.open(path, flags)
    os.dup2(other, writer._file)
    os.close(other)


def test_a_short_write_is_cut_back_whole_and_the_next_takes_its_sequence(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    writer.append([[b"a"]])
    with file_size_limit(100), pytest.raises(LogFullError):
        writer.append([[b"b"], [b"c"], [b"d" * 200]])
    assert read(tmp_path) == [(0, b"a")]

    writer.append([[b"e"]])

    assert read(tmp_path) == [(0, b"a"), (1, b"e")]
    assert partitions(tmp_path / "log")["host-1"].quarantined_bytes == 0


def test_a_refused_write_appends_nothing(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    with file_size_limit(0), pytest.raises(LogFullError):
        writer.append([[b"a"]])
    writer.append([[b"b"]])

    assert read(tmp_path) == [(0, b"b")]


@pytest.mark.parametrize("before", [0, 1])
def test_a_segment_that_cannot_be_cut_back_is_given_up(tmp_path: Path, before: int) -> None:
    writer = writer_in(tmp_path)
    writer.append([[b"a"]] * before)
    path = writer._folder / f"{0:020d}.log"
    replace_descriptor(writer, path, os.O_RDONLY)  # neither write nor ftruncate works any more
    with pytest.raises(LogUnavailableError, match="cannot append"):
        writer.append([[b"b"]])

    writer.append([[b"c"]])

    assert read(tmp_path) == ([(0, b"a"), (1, b"c")] if before else [(0, b"c")])
    assert segments_of(writer._folder) == [0, 1][: before + 1]


def test_what_could_not_be_cut_back_is_never_read(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    writer.append([[b"a"]])
    path = writer._folder / f"{0:020d}.log"
    writer.append([[b"never acked"]])
    whole = path.read_bytes()
    os.truncate(path, 29)
    writer._next, writer._size = 1, 29
    writer._give_up_segment()
    path.write_bytes(whole)  # the remains of a write whose cutting back failed too

    writer.append([[b"b"]])

    assert read(tmp_path) == [(0, b"a"), (1, b"b")]
    assert partitions(tmp_path / "log")["host-1"].quarantined_events == 0


def test_a_segment_whose_sync_failed_is_given_up_and_not_retried(tmp_path: Path) -> None:
    writer = writer_in(tmp_path, sync=True)
    writer.append([[b"a"]])
    replace_descriptor(writer, "/dev/null", os.O_WRONLY)  # takes the write, refuses the fdatasync
    with pytest.raises(LogUnavailableError, match="device"):
        writer.append([[b"b"]])

    writer.append([[b"c"]])

    assert segments_of(writer._folder) == [0, 2]
    assert read(tmp_path) == [(0, b"a"), (2, b"c")]


def test_a_segment_is_ended_when_it_is_old(tmp_path: Path) -> None:
    writer = writer_in(tmp_path, segment_seconds=0.0)
    for _ in range(3):
        writer.append([[b"a"]])

    assert segments_of(writer._folder) == [0, 1, 2]


def test_only_waiting_for_the_device_blocks(tmp_path: Path) -> None:
    blocks = {
        durability: SegmentLog(StreamingSettings.model_validate({"data_dir": tmp_path, "durability": durability}))
        .writer()
        .blocks
        for durability in ("os", "disk", "none")
    }

    assert blocks == {"os": False, "disk": True, "none": False}


def test_a_partition_lives_as_long_as_its_writer(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    assert is_live(tmp_path / "log" / "host-1")
    writer.close()
    assert not is_live(tmp_path / "log" / "host-1")


def test_a_folder_that_cannot_be_written_is_an_unavailable_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file where the folder should be")

    with pytest.raises(LogUnavailableError, match="cannot open the log"):
        writer_in(tmp_path)


def test_events_of_durability_none_are_all_there_after_close(tmp_path: Path) -> None:
    settings = StreamingSettings(data_dir=tmp_path, durability="none", log_reserve_bytes=0)
    writer = SegmentLog(settings).writer()
    for number in range(100):
        writer.append([[b"%d" % number]])
    writer.close()
    writer.close()

    assert [value for _, value in read(tmp_path)] == [b"%d" % number for number in range(100)]


def test_the_disk_is_not_asked_again_within_a_second_of_a_no(tmp_path: Path) -> None:
    asked: list[int] = []
    (tmp_path / "log").mkdir()
    room = Room(tmp_path / "log", max_bytes=10, reserve_bytes=0, headroom_bytes=5, free=asked.append)

    assert [room.admit(20, now) for now in (2.0, 2.5, 2.9, 3.1)] == [False] * 4
    assert asked == [20, 20]
