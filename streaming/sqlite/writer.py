"""The writing side of the embedded store: the one process that holds the lock."""

import fcntl
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from streaming.errors import StoreRefusedError
from streaming.events import ControlEvent, id_of
from streaming.sqlite.day import DayFile, Unstorable
from streaming.sqlite.days import (
    bytes_of,
    day_number,
    day_of_number,
    day_path,
    days_present,
    files_of,
    journal_path,
)
from streaming.sqlite.journal import Journal
from streaming.store import DeadLetter, IndexedEvent, Resolution

_MOST_OPEN_DAYS = 4


class WriterLockedError(StoreRefusedError):
    """Another process writes this store."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SqliteStoreWriter:
    """StoreWriter over the files of one folder. Not thread-safe.

    Args:
        folder: Where the files lie; made when missing.
        retention_days: Days a day's events are kept after it ended.
        max_bytes: Most bytes of all day files; the newest day stays even when it alone is larger.
        clock: Our clock, UTC, for the time of dead letters.

    Raises:
        WriterLockedError: Another process writes this store.
        StoreRefusedError: The files cannot be written.
        StoreUnavailableError: Not now.
    """

    def __init__(
        self,
        folder: Path,
        *,
        retention_days: int = 30,
        max_bytes: int = 10_000_000_000,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._folder = folder
        self._retention_days = retention_days
        self._max_bytes = max_bytes
        self._clock = clock
        self._days: dict[date, DayFile] = {}
        self._lock = _take_lock(folder)
        try:
            self._journal = Journal(journal_path(folder))
            self._delete_expired_files()
        except BaseException:
            os.close(self._lock)
            raise
        self._closed = False

    def index(self, events: Sequence[IndexedEvent]) -> tuple[list[Resolution], list[DeadLetter]]:
        """Stores events, each day in one transaction, the oldest first."""
        results: list[Resolution | Unstorable] = ["stored"] * len(events)
        for day, positions in sorted(self._by_day(events, results).items()):
            chosen = events if len(positions) == len(events) else [events[position] for position in positions]
            for position, result in zip(positions, self._add_to_day(day, chosen), strict=True):
                results[position] = result
        taken, letters = self._split(events, results)
        self._journal.forget_letters([event.record for event, _ in taken])
        return [resolution for _, resolution in taken], letters

    def set_aside(self, letters: Sequence[DeadLetter]) -> None:
        """Keeps dead letters durably; one per partition and offset."""
        if letters:
            self._journal.add_letters(letters)

    def expire(self, now: datetime) -> int:
        """Deletes days past retention, then the oldest over the byte limit; returns how many events went."""
        days = days_present(self._folder)
        oldest_kept = now.astimezone(UTC).date() - timedelta(days=self._retention_days)
        excess = sum(bytes_of(day_path(self._folder, day)) for day in days) - self._max_bytes
        expired = 0
        for day in days:
            over_limit = excess > 0 and day != days[-1]
            if day >= oldest_kept and not over_limit:
                break
            excess -= bytes_of(day_path(self._folder, day))
            expired += self._expire_day(day)
        return expired

    def bytes_on_disk(self) -> int:
        """Bytes of all files of the store."""
        paths = [day_path(self._folder, day) for day in days_present(self._folder)]
        return sum(bytes_of(path) for path in [*paths, journal_path(self._folder)])

    def close(self) -> None:
        """Checkpoints, closes all files and gives the lock up. Idempotent."""
        if self._closed:
            return
        self._closed = True
        for file in self._days.values():
            file.close()
        self._journal.close()
        os.close(self._lock)

    def _by_day(self, events: Sequence[IndexedEvent], results: list[Resolution | Unstorable]) -> dict[date, list[int]]:
        """Positions of predictions and labels by day; controls and events without a day are dealt with at once."""
        by_number: defaultdict[int, list[int]] = defaultdict(list)
        for position, (record, event) in enumerate(events):
            number = day_number(id_of(event))
            if number is None:
                results[position] = Unstorable(f"{id_of(event)!r} is no UUIDv7: only the API makes ids")
            elif isinstance(event, ControlEvent):
                results[position] = self._journal.add_control(record, event)
            else:
                by_number[number].append(position)
        return {day_of_number(number): positions for number, positions in by_number.items()}

    def _add_to_day(self, day: date, events: Sequence[IndexedEvent]) -> Sequence[Resolution | Unstorable]:
        if self._journal.is_expired(day):
            self._journal.count_expired(day, [event.record for event in events])
            return ["stored"] * len(events)
        return self._day(day).add(events)

    def _split(
        self, events: Sequence[IndexedEvent], results: Sequence[Resolution | Unstorable]
    ) -> tuple[list[tuple[IndexedEvent, Resolution]], list[DeadLetter]]:
        taken: list[tuple[IndexedEvent, Resolution]] = []
        letters: list[DeadLetter] = []
        for event, result in zip(events, results, strict=True):
            if isinstance(result, Unstorable):
                letters.append(DeadLetter(event.record, "unstorable", result.detail, self._clock()))
            else:
                taken.append((event, result))
        return taken, letters

    def _day(self, day: date) -> DayFile:
        file = self._days.pop(day, None) or DayFile(day_path(self._folder, day))
        self._days[day] = file  # the last used stands last
        while len(self._days) > _MOST_OPEN_DAYS:
            self._days.pop(next(iter(self._days))).close()
        return file

    def _expire_day(self, day: date) -> int:
        """Counts first, deletes afterwards: a crash between leaves a file that the next start deletes."""
        held = self._day(day).closed_day()
        self._journal.expire_day(day, held)
        self._days.pop(day).close()
        self._delete_expired_files()
        return sum(of_partition.events for of_partition in held.values())

    def _delete_expired_files(self) -> None:
        for day in self._journal.expired_days.intersection(days_present(self._folder)):
            for file in reversed(files_of(day_path(self._folder, day))):
                file.unlink(missing_ok=True)


def _take_lock(folder: Path) -> int:
    """Takes the folder's lock, which ends with the process however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "writer.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreRefusedError(f"the event store's folder cannot be written: {error}; mend its rights") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise WriterLockedError(
            f"{folder} is written by process {holder} already: one indexer a store; stop it first"
        ) from error
    with suppress(OSError):  # the number only helps a person; a full disk must not keep the store shut
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor
