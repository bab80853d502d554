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
