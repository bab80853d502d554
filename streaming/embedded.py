"""The embedded form wired: the segment log and the SQLite store of one data folder."""

from collections.abc import Callable
from datetime import UTC, datetime

from streaming.deadletter import RedriveReport
from streaming.reconcile import LogEnd, ReconcileReport, reconcile, shadow_starts
from streaming.segments.layout import partitions
from streaming.segments.offsets import read_offsets, removed_ends
from streaming.settings import StreamingSettings
from streaming.sqlite import SqliteStoreReader, SqliteStoreWriter
from streaming.sqlite.redrive import redrive_folder

_EVERY_START = 100_000


def utc_now() -> datetime:
    """Our clock."""
    return datetime.now(UTC)


def open_store_writer(settings: StreamingSettings, clock: Callable[[], datetime] = utc_now) -> SqliteStoreWriter:
    """Opens the store for its one writer.

    Raises:
        WriterLockedError: Another process writes it.
        StoreRefusedError: It cannot be written.
        StoreUnavailableError: Not now.
    """
    return SqliteStoreWriter(
        settings.store_dir,
        retention_days=settings.store_retention_days,
        max_bytes=settings.store_max_bytes,
        clock=clock,
    )


def open_store_reader(settings: StreamingSettings) -> SqliteStoreReader:
    """Opens the store for reading; it need not exist yet."""
    return SqliteStoreReader(settings.store_dir)


def take_stock(settings: StreamingSettings) -> ReconcileReport:
    """Reconciles log and store as they are now, whether anything runs or not; changes nothing.

    Raises:
        StoreUnavailableError: The store cannot be read now.
        StoreRefusedError: A file of it is damaged; the message names it.
    """
    store = open_store_reader(settings)
    starts = shadow_starts(store.controls(kind="shadow_started", limit=_EVERY_START))
    read = [_committed(settings, start.group) for start in starts]
    committed = _committed(settings, settings.log_required_group)
    counts = store.partition_counts()
    missing = [
        store.missing_shadow(
            start.model_name, start.model_version, received_from=start.received_from, fraction=start.fraction
        )
        for start in starts
    ]
    return reconcile(_ends(settings), committed, counts, list(zip(starts, read, missing, strict=True)))


def lost_events(settings: StreamingSettings) -> tuple[dict[str, int], dict[str, int]]:
    """Events per partition that the indexer has committed and the store does not have, and what it has committed."""
    committed = _committed(settings, settings.log_required_group)
    counts = open_store_reader(settings).partition_counts()
    report = reconcile(_ends(settings), committed, counts, [])
    return {
        account.partition: account.unexplained for account in report.partitions if account.unexplained > 0
    }, committed


def redrive_letters(settings: StreamingSettings, *, timeout_seconds: float = 30.0) -> RedriveReport:
    """Offers all dead letters to the store again: by the running indexer, or here when none runs.

    Raises:
        StoreUnavailableError: The indexer did not answer in time; it may still do it.
        StoreRefusedError: The store cannot be written.
    """
    return redrive_folder(
        settings.store_dir,
        open_writer=lambda: open_store_writer(settings),
        private_columns=settings.private_column_names,
        timeout_seconds=timeout_seconds,
    )


def _committed(settings: StreamingSettings, group: str) -> dict[str, int]:
    return removed_ends(settings.log_dir) | read_offsets(settings.log_dir, group)


def _ends(settings: StreamingSettings) -> dict[str, LogEnd]:
    return {
        name: LogEnd(span.next - span.first, span.quarantined_events)
        for name, span in partitions(settings.log_dir).items()
    }
