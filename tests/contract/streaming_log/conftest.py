"""The logs under contract. A Kafka adapter joins by adding its name and how a client is opened."""

from collections.abc import Callable
from pathlib import Path

import pytest

from streaming.log import EventLog
from streaming.memory_log import MemoryLog
from streaming.segments import open_segment_log
from streaming.settings import StreamingSettings

OpenLog = Callable[[], EventLog]

MAX_EVENT_BYTES = 4096


@pytest.fixture(params=["memory", "segments"])
def open_log(request: pytest.FixtureRequest, tmp_path: Path) -> OpenLog:
    """Opens one more client of one and the same log, which takes events of up to 4,096 bytes."""
    if request.param == "memory":
        memory = MemoryLog(max_event_bytes=MAX_EVENT_BYTES)
        return lambda: memory
    settings = StreamingSettings(data_dir=tmp_path, max_event_bytes=MAX_EVENT_BYTES, log_reserve_bytes=0)
    return lambda: open_segment_log(settings)
