"""Folders and files of the log, and what can be told of a partition from outside.

<log>/<host>-<uuid7>/lock                     held (flock) as long as the writer lives
                     <first sequence>.log     segments
                     torn                     set when a torn tail has been counted
<log>/.ledger/<partition>.json                first and next sequence, kept for ever, once the folder is gone
<log>/.groups/<group>.json                    committed offsets;  <group>.lock  the group's active reader
<log>/.quarantine/<partition>.<first>-<next>  bytes of damaged ranges
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from streaming.segments.frames import last_frame

_TAIL_BYTES = 65_536


class PartitionSpan(NamedTuple):
    """What one partition holds or held.

    Attributes:
        first: Its first sequence.
        next: The sequence after its last readable event.
        live: Whether its writer lives.
        quarantined_events: Events lost in damaged ranges a reader has met so far.
        quarantined_bytes: Bytes of those ranges.
        torn_bytes: Bytes of an unfinished last write; nobody got an answer for it.
    """

    first: int
    next: int
    live: bool
    quarantined_events: int = 0
    quarantined_bytes: int = 0
    torn_bytes: int = 0


def segment_path(folder: Path, first: int) -> Path:
    """File of the segment that begins with sequence `first`."""
    return folder / f"{first:020d}.log"


def ledger_path(log_dir: Path, partition: str) -> Path:
    """File that remembers a partition after its folder is gone."""
    return log_dir / ".ledger" / f"{partition}.json"


def partition_folders(log_dir: Path) -> list[Path]:
    """Folders of all partitions, by name."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(log_dir) as entries:
        return sorted(Path(entry.path) for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    return []


def segments_of(folder: Path) -> list[int]:
    """First sequences of a partition's segments, ascending; empty when the folder is gone."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
        return sorted(int(name[:-4]) for name in names if name.endswith(".log") and name[:-4].isdigit())
    return []


def is_live(folder: Path) -> bool:
    """Whether the partition's writer lives. Once False it stays False: nobody appends to an old partition."""
    try:
        lock = os.open(folder / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # shared, so that two readers asking at once do not take each other for the writer
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


class Tail(NamedTuple):
    """The end of a segment: the sequence after its last readable event, and the bytes that follow it."""

    next: int
    loose_bytes: int


def tail_of(path: Path, first: int, *, live: bool) -> Tail:
    """Reads a segment's end, backwards as far as needed; a missing file counts as empty."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        width = _TAIL_BYTES
        while True:
            begin = max(0, size - width)
            file.seek(begin)
            frame = last_frame(file.read(size - begin), closing=live)
            if frame is not None:
                return Tail(frame.first + frame.events, size - begin - frame.end)
            if not begin:
                return Tail(first, size)
            width *= 8
    return Tail(first, 0)


def span_of(folder: Path, quarantined: Mapping[str, tuple[int, int]] | None = None) -> PartitionSpan | None:
    """What a partition's folder holds; None when it is gone.

    Args:
        folder: The partition's.
        quarantined: `quarantined_in(log_dir)`, where the caller has it.
    """
    live = is_live(folder)
    segments = segments_of(folder)
    if not segments:
        return None
    tail = tail_of(segment_path(folder, segments[-1]), segments[-1], live=live)
    known = quarantined_in(folder.parent) if quarantined is None else quarantined
    events, size = known.get(folder.name, (0, 0))
    # sequences begin at 0 in every partition, whatever has been deleted since
    return PartitionSpan(0, tail.next, live, events, size, 0 if live else tail.loose_bytes)


def partitions(log_dir: Path) -> Mapping[str, PartitionSpan]:
    """What every partition holds or ever held, by name."""
    spans = {path.stem: span for path, span in _ledger(log_dir)}
    quarantined = quarantined_in(log_dir)
    for folder in partition_folders(log_dir):
        span = span_of(folder, quarantined)
        if span is not None:
            spans[folder.name] = span
    return spans


def removed_partition(log_dir: Path, partition: str) -> PartitionSpan | None:
    """What the ledger remembers of a deleted partition."""
    try:
        return PartitionSpan(**json.loads(ledger_path(log_dir, partition).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _ledger(log_dir: Path) -> Iterator[tuple[Path, PartitionSpan]]:
    for path in sorted((log_dir / ".ledger").glob("*.json")):
        span = removed_partition(log_dir, path.stem)
        if span is not None:
            yield path, span


def remember(log_dir: Path, partition: str, span: PartitionSpan) -> None:
    """Writes a partition into the ledger, durably, before its folder goes."""
    write_atomically(ledger_path(log_dir, partition), json.dumps(span._asdict()).encode(), sync=True)


def write_atomically(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Replaces a file by rename; the folder is made where missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(path)


def quarantine(log_dir: Path, partition: str, lost: range, damaged: bytes) -> bool:
    """Copies a damaged range aside, once whoever asks; returns whether this call did it."""
    path = log_dir / ".quarantine" / f"{partition}.{lost.start:020d}-{lost.stop:020d}"
    if path.exists():
        return False
    write_atomically(path, damaged)
    return True


def quarantined_in(log_dir: Path) -> dict[str, tuple[int, int]]:
    """Events and bytes quarantined, by partition."""
    totals: dict[str, tuple[int, int]] = {}
    reached: dict[str, int] = {}
    for path in sorted((log_dir / ".quarantine").glob("*.*-*")):
        partition, _, lost = path.name.rpartition(".")
        first, _, following = lost.partition("-")
        if first.isdigit() and following.isdigit():
            # damage that grew is copied again, from the same beginning or within: count no event twice
            fresh = int(following) - max(int(first), reached.get(partition, 0))
            events, size = totals.get(partition, (0, 0))
            totals[partition] = (events + max(0, fresh), size + path.stat().st_size)
            reached[partition] = max(reached.get(partition, 0), int(following))
    return totals


def mark_torn(folder: Path) -> bool:
    """Notes that a torn tail has been counted; returns whether this call was the first."""
    try:
        os.close(os.open(folder / "torn", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    except OSError:
        return False
    return True


def bytes_on_disk(log_dir: Path) -> int:
    """Bytes of all segments."""
    return sum(_bytes_in(folder) for folder in partition_folders(log_dir))


def _bytes_in(folder: Path) -> int:
    total = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat().st_size
    return total
