"""Opens SQLite files for writing or reading, and translates SQLite's errors by what the receiver does next."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streaming.errors import StoreRefusedError, StoreUnavailableError

_PAGE_BYTES = 8192
_CHECKPOINT_PAGES = 2_000  # 16 MB of write-ahead log
_CACHE_KIBIBYTES = 32_000
_BUSY_SECONDS = 5.0
_TRY_AGAIN = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_PROTOCOL,
    }
)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raises StoreUnavailableError or StoreRefusedError in place of SQLite's own errors, but lets a row's fault pass."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.DataError):
        raise
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in _TRY_AGAIN:
            raise StoreUnavailableError(f"{path}: {error}") from error
        raise StoreRefusedError(
            f"{path}: {error}; check the file's rights, or move it aside when it is damaged (its events are then gone)"
        ) from error


def open_writing(path: Path, schema: str, version: int, *, sync: bool = False) -> sqlite3.Connection:
    """Opens the one writing connection of a file, creating its tables.

    Transactions are begun and committed by the caller. With `sync` each commit waits for the device.

    Raises:
        StoreRefusedError: The file is of a newer schema, not a database, or not writable.
        StoreUnavailableError: It cannot be opened now.
    """
    with translated(path):
        connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)
        try:
            _prepare(connection, path, schema, version)
            connection.execute(f"PRAGMA synchronous={'FULL' if sync else 'NORMAL'}")
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, schema: str, version: int) -> None:
    connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA cache_size=-{_CACHE_KIBIBYTES}")
    connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > version:
        raise StoreRefusedError(f"{path} has schema {found}, newer than {version}: upgrade this indexer")
    if found < version:
        connection.executescript(f"BEGIN IMMEDIATE; {schema}; PRAGMA user_version={version}; COMMIT;")


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Commits what is done inside, or undoes it all; SQLite's errors come out translated."""
    with translated(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """A read-only look into a file from one moment in time; None when there is no such file (any more)."""
    with translated(path):
        connection = _open_reading(path)
        if connection is None:
            yield None
            return
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.close()


def _open_reading(path: Path) -> sqlite3.Connection | None:
    """A connection to a file whose tables exist."""
    if not path.exists():
        return None
    connection = None
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)
        connection.isolation_level = None
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error:
        if connection is not None:
            connection.close()
        if not path.exists():
            return None
        raise
    if version == 0:  # being created at this very moment
        connection.close()
        return None
    return connection
