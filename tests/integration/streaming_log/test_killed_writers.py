"""Real writers, killed under load or out of disk: every acked event is read, once per group, in order."""

import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from streaming.log import EventReader, LogRecord
from streaming.segments import SegmentLog, partitions
from streaming.settings import StreamingSettings

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("writing_process.py")
REPOSITORY = Path(__file__).parents[3]


def start(data_dir: Path, durability: str, segment_bytes: int, *limits: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, str(PROGRAM), str(data_dir), durability, str(segment_bytes), *limits]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)


def lines(process: "subprocess.Popen[bytes]", count: int) -> Iterator[bytes]:
    assert process.stdout is not None
    for _, line in zip(range(count), process.stdout, strict=False):
        yield line


def kill(process: "subprocess.Popen[bytes]") -> list[bytes]:
    """Kills without warning; returns what it still said."""
    process.kill()
    rest, _ = process.communicate()
    return rest.splitlines()


def acked_count(said: Sequence[bytes]) -> int:
    numbers = [int(line) for line in said if line.strip().isdigit()]
    return numbers[-1] if numbers else 0


def read_all(reader: EventReader) -> list[LogRecord]:
    records: list[LogRecord] = []
    while found := reader.poll(1000, 0.6):
        records += found
        reader.commit({record.partition: record.offset + 1 for record in found})
    reader.close()
    return records


def by_process(records: Sequence[LogRecord]) -> dict[int, list[int]]:
    numbers: dict[int, list[int]] = defaultdict(list)
    for record in records:
        process, _, number = record.value.rstrip(b".").partition(b":")
        numbers[int(process)].append(int(number))
    return numbers


def log_of(folder: Path) -> SegmentLog:
    return SegmentLog(StreamingSettings(data_dir=folder, log_reserve_bytes=0))


@pytest.mark.parametrize("durability", ["os", "disk"])
def test_no_acked_event_is_lost_when_writers_are_killed_again_and_again(tmp_path: Path, durability: str) -> None:
    acked: dict[int, int] = {}
    records: list[LogRecord] = []
    reader = log_of(tmp_path).reader("g")
    for turn in range(8):
        process = start(tmp_path, durability, 8192)
        said = list(lines(process, 1 + 17 * turn))
        records += reader.poll(1000, 0.0)
        acked[process.pid] = acked_count([*said, *kill(process)])
        if turn % 4 == 3:
            # a reader that dies has committed only what it said
            reader.commit({record.partition: record.offset + 1 for record in records})
            reader.close()
            reader = log_of(tmp_path).reader("g")
    records += read_all(reader)

    read = by_process(records)

    for process_id, count in acked.items():
        numbers = read[process_id]
        assert numbers == list(range(len(numbers)))
        assert count <= len(numbers) <= count + 3
        assert len(numbers) % 3 != 2  # the second group is there whole or not at all
    spans = partitions(tmp_path / "log").values()
    assert sum(span.next for span in spans) == len(records)
    assert not any(span.live or span.quarantined_bytes for span in spans)


def test_a_file_size_limit_refuses_cleanly(tmp_path: Path) -> None:
    process = start(tmp_path, "os", 1 << 20, "1000000000", "100000")
    said, _ = process.communicate()

    assert said.splitlines()[-1] == b"refused LogFullError"
    acked = acked_count(said.splitlines())
    assert acked > 100
    assert by_process(read_all(log_of(tmp_path).reader("g")))[process.pid] == list(range(acked))


def test_a_full_log_is_refused_by_every_writer_and_read_whole(tmp_path: Path) -> None:
    processes = [start(tmp_path, "os", 8192, "200000") for _ in range(2)]
    said = {process.pid: process.communicate()[0].splitlines() for process in processes}

    assert {words[-1] for words in said.values()} == {b"refused LogFullError"}
    read = by_process(read_all(log_of(tmp_path).reader("g")))
    assert {pid: len(read[pid]) for pid in said} == {pid: acked_count(words) for pid, words in said.items()}
    assert sum(map(len, read.values())) > 700


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB, where we may mount one."""
    mount = shutil.which("mount")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = [str(mount), "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if sys.platform != "linux" or mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs leave to mount a tmpfs of 1 MiB (root on Linux)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_loses_nothing_and_is_used_again_once_there_is_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(500_000))
    first = start(small_disk, "os", 1 << 20)
    said = first.communicate()[0].splitlines()
    ballast.unlink()
    second = start(small_disk, "os", 1 << 20)
    more = list(lines(second, 50))
    more += kill(second)

    assert said[-1] == b"refused LogFullError"
    read = by_process(read_all(log_of(small_disk).reader("g")))
    assert read[first.pid] == list(range(acked_count(said)))
    assert len(read[second.pid]) >= acked_count(more) > 0


def test_a_killed_writer_frees_its_lock_for_others_to_see(tmp_path: Path) -> None:
    process = start(tmp_path, "os", 8192)
    list(lines(process, 3))
    (span,) = partitions(tmp_path / "log").values()
    assert span.live
    kill(process)
    (span,) = partitions(tmp_path / "log").values()
    assert not span.live
