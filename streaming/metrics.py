"""Every metric of the log, the store and their readers. Labels come from closed sets only."""

from prometheus_client import Counter, Gauge

# the segment log, writing
LOG_BYTES = Gauge("log_bytes", "Bytes the segment log takes on disk.", multiprocess_mode="mostrecent")
LOG_APPEND_FAILURES = Counter(
    "log_append_failures", "Appends that recorded nothing, by reason: full, unavailable or sync.", ["reason"]
)
LOG_DELETED_SEGMENTS = Counter("log_deleted_segments", "Segment files deleted after the required reader read them.")

# the segment log, reading
LOG_QUARANTINED_EVENTS = Counter("log_quarantined_events", "Events lost in damaged ranges, copied aside and skipped.")
LOG_QUARANTINED_BYTES = Counter("log_quarantined_bytes", "Bytes of damaged ranges, copied aside and skipped.")
LOG_TORN_TAILS = Counter("log_torn_tails", "Unfinished last writes of dead writers; their callers got no answer.")
LOG_GAP_EVENTS = Counter("log_gap_events", "Events deleted before a reader that holds nothing back had read them.")

# the event store and the reader loop
INDEXED_EVENTS = Counter(
    "indexed_events", "Events the store has taken, by resolution: stored or duplicate.", ["outcome"]
)
DEAD_LETTERS = Counter(
    "dead_letters", "Events set aside for a person because the store can never take them.", ["reason"]
)
EVENT_LAG_SECONDS = Gauge(
    "event_lag_seconds",
    "Age of the newest event the indexer has stored; 0 when it has read everything.",
    multiprocess_mode="mostrecent",
)
STORE_PAUSES = Counter("store_pauses", "Times a reader offered the same batch again because its sink was away.")
STORE_EXPIRED_EVENTS = Counter("store_expired_events", "Stored events deleted with their day.")
STORE_BYTES = Gauge("store_bytes", "Bytes the embedded event store takes on disk.", multiprocess_mode="mostrecent")
