"""Which file holds the events of which day, and what those files take on disk."""

import re
from datetime import UTC, date, datetime
from pathlib import Path

from streaming.ids import unix_milliseconds

_PREFIX = "predictions-"
_DAY_MILLISECONDS = 86_400_000
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_LAST_DAY = date.max.toordinal() - _EPOCH_DAY
_UUID_7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch


def day_number(event_id: str) -> int | None:
    """Days from 1970 to the receive time inside an id; None when it is no id that a day file can hold."""
    if _UUID_7(event_id) is None:
        return None
    number = unix_milliseconds(event_id) // _DAY_MILLISECONDS
    return number if number <= _LAST_DAY else None


def day_of_number(number: int) -> date:
    """The day so many days after 1970 began."""
    return date.fromordinal(_EPOCH_DAY + number)


def first_id_at(moment: datetime) -> str:
    """A text that sorts before every id received at or after `moment`, and after every earlier one."""
    since_1970 = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    microseconds = (since_1970.days * 86_400 + since_1970.seconds) * 1_000_000 + since_1970.microseconds
    text = f"{max(0, -(-microseconds // 1000)):012x}"
    return f"{text[:8]}-{text[8:]}-"


def day_path(folder: Path, day: date) -> Path:
    """File of the events received on `day`."""
    return folder / f"{_PREFIX}{day.isoformat()}.db"


def journal_path(folder: Path) -> Path:
    """File of what never expires."""
    return folder / "journal.db"


def days_present(folder: Path) -> list[date]:
    """Days that have a file, oldest first."""
    days = []
    for path in folder.glob(f"{_PREFIX}*.db"):
        try:
            days.append(date.fromisoformat(path.stem.removeprefix(_PREFIX)))
        except ValueError:
            continue  # not one of ours
    return sorted(days)


def files_of(path: Path) -> list[Path]:
    """A database and its companions, in the order in which they may be deleted."""
    return [path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")]


def bytes_of(path: Path) -> int:
    """Bytes a database and its companions take on disk."""
    total = 0
    for file in files_of(path):
        try:
            total += file.stat().st_size
        except FileNotFoundError:
            continue
    return total
