"""Events, and a log and a store in memory."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from streaming.codec import encode
from streaming.events import PredictionEvent
from streaming.log import LogRecord

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def _prediction(number: int, **fields: Any) -> PredictionEvent:
    text = f"{round(NOON.timestamp() * 1000):012x}"
    given: dict[str, Any] = {
        "event_time": NOON,
        "recorded_at": NOON,
        "event_id": f"{text[:8]}-{text[8:]}-7000-8000-{number:012x}",
        "request_id": f"request-{number}",
        "model_name": "flights",
        "model_version": "1",
        "role": "production",
        "features": {"distance": 100.0, "passenger": "Ada"},
    }
    return PredictionEvent(**(given | fields))


@pytest.fixture(scope="session")
def prediction() -> Callable[..., PredictionEvent]:
    """Makes a prediction event, distinct by number."""
    return _prediction


@pytest.fixture(scope="session")
def record() -> Callable[..., LogRecord]:
    """Makes the log record of a prediction event at offset `number`."""

    def make(number: int, partition: str = "api-1", **fields: Any) -> LogRecord:
        return LogRecord(partition, number, encode(_prediction(number, **fields)))

    return make
