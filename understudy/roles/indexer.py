"""The indexer: carries the log's events into the store, and keeps both within their limits."""

import logging
import threading
import time
from contextlib import closing

from streaming.embedded import lost_events, open_store_writer, utc_now
from streaming.errors import StoreRefusedError, StoreUnavailableError
from streaming.housekeeping import Housekeeping
from streaming.indexer import Indexer
from streaming.log import EventLog
from streaming.loop import LoopPolicy, run_loop
from streaming.recovery import GivenUp, read_again
from streaming.segments import open_segment_log
from streaming.settings import StreamingSettings
from streaming.sqlite import SqliteStoreWriter, WriterLockedError
from understudy.process import stop_event, yield_to_callers

_log = logging.getLogger("understudy.streaming")
_TAKE_OVER_SECONDS = 5.0
_RECOVERY_GROUP = "indexer-recovery"


def main() -> int:
    """Runs until told to stop; 1 when a person must act first."""
    settings, stop = StreamingSettings(), stop_event()
    yield_to_callers()
    try:
        store = _open_store(settings, stop)
        if store is not None:
            with closing(store):
                _index(settings, store, stop)
    except StoreRefusedError as error:
        _log.error("indexer_stopped", extra={"reason": str(error)})
        return 1
    return 0


def _open_store(settings: StreamingSettings, stop: threading.Event) -> SqliteStoreWriter | None:
    """Opens the store, waiting for a predecessor that is still closing it; None when told to stop meanwhile."""
    policy, failures, deadline = LoopPolicy(), 0, time.monotonic() + _TAKE_OVER_SECONDS
    while not stop.is_set():
        try:
            return open_store_writer(settings)
        except WriterLockedError:
            if time.monotonic() >= deadline:
                raise
        except StoreUnavailableError as error:
            _log.warning("store_unavailable", extra={"reason": str(error)})
        failures += 1
        stop.wait(policy.pause_seconds(failures, 0.0))
    return None


def _index(settings: StreamingSettings, store: SqliteStoreWriter, stop: threading.Event) -> None:
    log = open_segment_log(settings)
    indexer = Indexer(
        store,
        private_columns=settings.private_column_names,
        max_consecutive_dead_letters=settings.max_consecutive_dead_letters,
    )
    with closing(log.reader(settings.log_required_group)) as reader:
        _recover(settings, log, indexer)
        _log.info("indexer_started", extra={"store": str(settings.store_dir)})
        run_loop(reader, indexer, stop, between=Housekeeping(settings, store, indexer, reader, utc_now))
    _log.info("indexer_finished")


def _recover(settings: StreamingSettings, log: EventLog, indexer: Indexer) -> None:
    given_up = GivenUp(settings.store_dir / "given-up.json")
    lost, committed = lost_events(settings)
    if not given_up.new_among(lost):
        return
    _log.warning("store_behind_offsets", extra={"events": sum(lost.values()), "partitions": len(lost)})
    with closing(log.reader(_RECOVERY_GROUP)) as again:
        read_again(again, indexer, {partition: committed[partition] for partition in lost})
    still_lost, _ = lost_events(settings)
    given_up.write(still_lost)
    _log.warning("store_read_again", extra={"events": sum(lost.values()), "still_lost": sum(still_lost.values())})
