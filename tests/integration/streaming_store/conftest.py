"""A data folder, a real indexer process on it, and a writer of events."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streaming.codec import encode
from streaming.embedded import take_stock
from streaming.events import PredictionEvent
from streaming.ids import derived_event_id, new_event_ids
from streaming.log import EventWriter
from streaming.segments import open_segment_log
from streaming.settings import StreamingSettings

PATIENCE_SECONDS = 60.0


@dataclass
class Installation:
    """One data folder with its processes.

    Attributes:
        settings: Those of the folder.
        acked: Event id to bytes of everything appended.
        processes: Every indexer started.
    """

    settings: StreamingSettings
    environment: dict[str, str]
    acked: dict[str, bytes] = field(default_factory=dict)
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start_indexer(self, **environment: str) -> "subprocess.Popen[bytes]":
        with (self.settings.data_dir / "indexer.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "understudy", "run", "indexer"], env=self.environment | environment, stderr=log
            )
        self.processes.append(process)
        return process

    def log_text(self) -> str:
        return (self.settings.data_dir / "indexer.log").read_text()

    def writer(self) -> EventWriter:
        return open_segment_log(self.settings).writer()

    def append(self, writer: EventWriter, count: int) -> list[str]:
        """Appends `count` production events and their shadow answers; returns the ids of the former."""
        now = datetime.now(UTC)
        groups: list[list[bytes]] = []
        ids = new_event_ids(count)
        for event_id in ids:
            produced = _event(now, event_id, "1", None)
            answer_id = derived_event_id(event_id, "flights", "2", "http", "")
            answered = _event(now, answer_id, "2", event_id)
            groups.append([encode(produced), encode(answered)])
            self.acked |= {event_id: groups[-1][0], answer_id: groups[-1][1]}
        writer.append(groups)
        return ids

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS:g} s: {what}\n{self.log_text()}"
            time.sleep(0.02)

    def wait_until_settled(self) -> None:
        self.wait_until(lambda: take_stock(self.settings).settled, "everything read")


def _event(now: datetime, event_id: str, version: str, origin_event_id: str | None) -> PredictionEvent:
    return PredictionEvent(
        event_time=now,
        recorded_at=now,
        event_id=event_id,
        request_id=f"request-{event_id}",
        model_name="flights",
        model_version=version,
        role="shadow" if origin_event_id else "production",
        prediction="1",
        features=None if origin_event_id else {"distance": 100.0, "passenger": "Ada"},
        origin_event_id=origin_event_id,
    )


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    settings = StreamingSettings(data_dir=tmp_path, log_reserve_bytes=0, _env_file=None)
    environment = os.environ | {"DATA_DIR": str(tmp_path), "LOG_RESERVE_BYTES": "0"}
    made = Installation(settings, environment)
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
