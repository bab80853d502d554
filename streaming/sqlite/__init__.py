"""The embedded event store: SQLite files in one folder, written by one process, read by any number.

    predictions-2026-11-21.db   predictions and labels received that day (UTC, the time inside their ids)
    journal.db                  what never expires: controls, dead letters, how many events of each day are gone
    writer.lock                 held by the one writing process

    connect     opens files and translates SQLite's errors
    day         the writing side of one day file
    journal     the writing side of the journal
    writer      StoreWriter: routes events to their files, deletes whole days
    reader      StoreReader: looks into all files, newest first
    redrive     redriving while the indexer runs, or instead of it

Rule: one writing connection a file, in the process that holds the lock; it alone checkpoints. All of a batch that
falls on one day is one transaction; days are committed in order, and repeating a batch changes nothing.

Durability: a commit survives the death of any process at any point. After a power cut the last commits of a day
file may be gone (WAL, synchronous=NORMAL) although their offsets were kept; the log still has the events for its
retention, and `streaming.recovery` reads them again when counts fall short of what was committed. The journal
waits for the device at each commit.
"""

from streaming.sqlite.reader import SqliteStoreReader
from streaming.sqlite.writer import SqliteStoreWriter, WriterLockedError

__all__ = ["SqliteStoreReader", "SqliteStoreWriter", "WriterLockedError"]
