"""What can go wrong in a log or a store, named by what the receiver does next.

StreamingError
├── LogUnavailableError    the event was not recorded: answer 503 + Retry-After, ack nothing
│   └── LogFullError       no room within LOG_MAX_BYTES or on the disk
├── EventTooLargeError     the caller's fault: answer 413, ack nothing
├── CorruptEventError      these bytes are no event of ours: dead-letter them, go on
├── StoreUnavailableError  pause the reader and offer the same batch again
└── StoreRefusedError      stop the reader, unhealthy: a person must act (credentials, schema)
"""


class StreamingError(Exception):
    """Root of this package's errors."""


class LogUnavailableError(StreamingError):
    """The log could not make the events durable; none of them is acknowledged."""

    retry_after_seconds: float = 1.0


class LogFullError(LogUnavailableError):
    """The log has reached LOG_MAX_BYTES, or the disk its reserve, and nothing read may be deleted."""

    retry_after_seconds = 5.0


class EventTooLargeError(StreamingError):
    """An event exceeds MAX_EVENT_BYTES."""


class CorruptEventError(StreamingError):
    """Bytes that do not decode to an event of a known schema version."""


class StoreUnavailableError(StreamingError):
    """The store cannot take events now; the same batch may be offered again."""


class StoreRefusedError(StreamingError):
    """The store will not take events until a person acts."""
