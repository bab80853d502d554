"""Redriving dead letters of the embedded store, which only one process may write.

While an indexer runs it is asked by a file and answers by a file; without one the caller writes itself.

    redrive-<name>.request    somebody waits
    redrive-<name>.answer     for this RedriveReport
"""

import secrets
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from streaming.deadletter import RedriveReport, redrive
from streaming.errors import StoreUnavailableError
from streaming.sqlite.reader import SqliteStoreReader
from streaming.sqlite.writer import SqliteStoreWriter, WriterLockedError
from streaming.store import StoreWriter

_LETTERS = 1_000_000  # far above what MAX_CONSECUTIVE_DEAD_LETTERS lets pile up unseen
_BATCH = 500
_LOOK_SECONDS = 0.1


def redrive_all(folder: Path, writer: StoreWriter, private_columns: AbstractSet[str], now: datetime) -> RedriveReport:
    """Offers every dead letter of the folder to its writer again, oldest first."""
    letters = SqliteStoreReader(folder).dead_letters(limit=_LETTERS)
    total = RedriveReport(0, 0, 0, 0)
    for start in range(0, len(letters), _BATCH):
        total = total.plus(redrive(writer, letters[start : start + _BATCH], private_columns, now))
    return total


def answer_requests(folder: Path, writer: StoreWriter, private_columns: AbstractSet[str], now: datetime) -> int:
    """Does what requests ask for, in the process that holds the writer; returns how many there were.

    A crash before the answer leaves the request, and redriving again is harmless.
    """
    requests = list(folder.glob("redrive-*.request"))
    for request in requests:
        report = redrive_all(folder, writer, private_columns, now)
        _write(request.with_suffix(".answer"), msgspec.json.encode(report))
        request.unlink(missing_ok=True)
    return len(requests)


def redrive_folder(
    folder: Path,
    *,
    open_writer: Callable[[], SqliteStoreWriter],
    private_columns: AbstractSet[str],
    timeout_seconds: float,
) -> RedriveReport:
    """Redrives here when nobody writes the store, otherwise asks the process that does.

    Raises:
        StoreUnavailableError: No answer in time.
        StoreRefusedError: The store cannot be written.
    """
    try:
        writer = open_writer()
    except WriterLockedError:
        return _ask(folder, timeout_seconds)
    with closing(writer):
        return redrive_all(folder, writer, private_columns, datetime.now(UTC))


def _ask(folder: Path, timeout_seconds: float) -> RedriveReport:
    request = folder / f"redrive-{secrets.token_hex(8)}.request"
    answer = request.with_suffix(".answer")
    _write(request, b"")
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        with suppress(FileNotFoundError):
            report = msgspec.json.decode(answer.read_bytes(), type=RedriveReport)
            answer.unlink()
            return report
        time.sleep(_LOOK_SECONDS)
    request.unlink(missing_ok=True)
    raise StoreUnavailableError(
        f"the indexer did not redrive within {timeout_seconds:g} s: see its log, then try again"
    )


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
