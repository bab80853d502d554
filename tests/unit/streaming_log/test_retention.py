"""Only what the required reader has committed goes, and what went is remembered."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streaming.errors import LogFullError
from streaming.log import EventWriter, LogRecord
from streaming.retention import RetentionPolicy, enforce
from streaming.segments import SegmentLog, partitions
from streaming.segments.layout import partition_folders, segments_of
from streaming.settings import StreamingSettings

NOW = datetime.now(UTC)
EVENT = b"x" * 972  # 1,000 bytes with its frame


def small(folder: Path, **changes: int) -> StreamingSettings:
    limits = {"log_segment_bytes": 4096, "log_max_bytes": 1_000_000, "log_reserve_bytes": 0} | changes
    return StreamingSettings.model_validate({"data_dir": folder} | limits)


def policy(*, days: float = 7, max_bytes: int = 1_000_000) -> RetentionPolicy:
    return RetentionPolicy("indexer", timedelta(days=days), max_bytes, 0)


def fill(log: SegmentLog, events: int) -> EventWriter:
    """Appends one by one: four events to a segment."""
    writer = log.writer()
    for number in range(events):
        writer.append([[b"%06d" % number + EVENT[6:]]])
    return writer


def read_all(log: SegmentLog, group: str, *, commit: bool = True) -> list[LogRecord]:
    reader = log.reader(group)
    records: list[LogRecord] = []
    while found := reader.poll(1000, 0.0):
        records += found
    if commit:
        reader.commit({record.partition: record.offset + 1 for record in records})
    reader.close()
    return records


@pytest.fixture
def log(tmp_path: Path) -> SegmentLog:
    return SegmentLog(small(tmp_path))


def numbers(records: list[LogRecord]) -> list[int]:
    return [int(record.value[:6]) for record in records]


def test_what_the_required_reader_has_not_committed_stays_whatever_its_age(log: SegmentLog, tmp_path: Path) -> None:
    fill(log, 12).close()
    read_all(log, "indexer", commit=False)
    read_all(log, "shadow")

    assert enforce(tmp_path / "log", policy(max_bytes=1), NOW + timedelta(days=365)) == 0
    assert numbers(read_all(log, "other")) == list(range(12))


def test_young_segments_stay_while_there_is_room(log: SegmentLog, tmp_path: Path) -> None:
    fill(log, 12).close()
    read_all(log, "indexer")

    assert enforce(tmp_path / "log", policy(), NOW) == 0


def test_old_committed_segments_go_but_never_the_one_being_written(log: SegmentLog, tmp_path: Path) -> None:
    writer = fill(log, 12)
    read_all(log, "indexer")

    assert enforce(tmp_path / "log", policy(), NOW + timedelta(days=8)) == 8000
    assert numbers(read_all(log, "other")) == [8, 9, 10, 11]
    writer.append([[b"000012"]])
    assert numbers(read_all(log, "another")) == [8, 9, 10, 11, 12]


def test_over_the_limit_the_oldest_committed_go_and_no_more_than_needed(log: SegmentLog, tmp_path: Path) -> None:
    writer = fill(log, 20)
    read_all(log, "indexer")

    assert enforce(tmp_path / "log", policy(max_bytes=13_000), NOW) == 8000
    assert enforce(tmp_path / "log", policy(max_bytes=13_000), NOW) == 0
    assert enforce(tmp_path / "log", policy(max_bytes=13_000), NOW, need_bytes=2000) == 4000
    writer.close()


def test_a_segment_half_committed_stays(log: SegmentLog, tmp_path: Path) -> None:
    fill(log, 12).close()
    reader = log.reader("indexer")
    (name,) = {record.partition for record in reader.poll(100, 0.0)}
    reader.commit({name: 7})
    reader.close()

    assert enforce(tmp_path / "log", policy(days=0.0001), NOW + timedelta(days=1)) == 4000


def test_the_last_segment_of_a_dead_writer_stays_for_its_last_event(log: SegmentLog, tmp_path: Path) -> None:
    fill(log, 4).close()
    reader = log.reader("indexer")
    (name,) = {record.partition for record in reader.poll(100, 0.0)}
    reader.commit({name: 3})
    assert enforce(tmp_path / "log", policy(), NOW + timedelta(days=8)) == 0
    reader.commit({name: 4})
    assert enforce(tmp_path / "log", policy(), NOW + timedelta(days=8)) == 4000


def test_a_deleted_partition_is_remembered_for_ever(log: SegmentLog, tmp_path: Path) -> None:
    fill(log, 12).close()
    name = read_all(log, "indexer")[0].partition
    enforce(tmp_path / "log", policy(), NOW + timedelta(days=8))
    enforce(tmp_path / "log", policy(), NOW + timedelta(days=8))

    assert partition_folders(tmp_path / "log") == []
    span = partitions(tmp_path / "log")[name]
    assert (span.first, span.next, span.live) == (0, 12, False)
    reader = log.reader("indexer")
    assert reader.committed() == {name: 12}
    assert sum(reader.lag().values()) == 0


def test_a_deletion_cut_off_after_any_step_is_finished_the_next_time(log: SegmentLog, tmp_path: Path) -> None:
    fill(log, 4).close()
    name = read_all(log, "indexer")[0].partition
    folder = tmp_path / "log" / name
    kept = (folder / f"{0:020d}.log").read_bytes()
    enforce(tmp_path / "log", policy(), NOW + timedelta(days=8))
    folder.mkdir()
    (folder / f"{0:020d}.log").write_bytes(kept)  # as if the ledger had been written and nothing deleted yet

    enforce(tmp_path / "log", policy(), datetime.now(UTC) + timedelta(days=8))

    assert partition_folders(tmp_path / "log") == []
    assert partitions(tmp_path / "log")[name].next == 4


def test_an_empty_partition_of_a_dead_writer_leaves_nothing(log: SegmentLog, tmp_path: Path) -> None:
    live = log.writer()
    log.writer().close()

    enforce(tmp_path / "log", policy(), NOW)

    assert len(partition_folders(tmp_path / "log")) == 1
    assert len(partitions(tmp_path / "log")) == 1
    live.close()


def test_deleting_in_a_log_that_does_not_exist_is_harmless(tmp_path: Path) -> None:
    assert enforce(tmp_path / "log", policy(), NOW) == 0


def test_a_full_log_refuses_until_the_required_reader_commits(tmp_path: Path) -> None:
    log = SegmentLog(small(tmp_path, log_max_bytes=70_000))
    with pytest.raises(LogFullError, match="LOG_MAX_BYTES=70000"):
        fill(log, 100)
    acked = read_all(log, "indexer")

    writer = fill(log, 10)

    assert 60 <= len(acked) <= 70
    assert numbers(read_all(log, "indexer")) == list(range(10))
    writer.close()


def test_a_full_log_whose_only_segment_was_read_takes_events_again(tmp_path: Path) -> None:
    log = SegmentLog(small(tmp_path, log_max_bytes=4096))
    writer = fill(log, 4)
    with pytest.raises(LogFullError):
        writer.append([[EVENT]])
    read_all(log, "indexer")

    log.writer().append([[EVENT]])  # another writer asks at once; this one a second after its last no

    assert len(read_all(log, "indexer")) == 1
    assert sorted(map(segments_of, partition_folders(tmp_path / "log"))) == [[0], [4]]


def test_within_the_disk_reserve_nothing_is_appended(tmp_path: Path) -> None:
    disk = os.statvfs(tmp_path)
    log = SegmentLog(small(tmp_path, log_reserve_bytes=disk.f_blocks * disk.f_frsize))

    with pytest.raises(LogFullError, match="LOG_RESERVE_BYTES"):
        fill(log, 1)
