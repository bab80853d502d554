import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

from serving.bundle import Bundle, LatencyProfile, RoleEntry, RoleTable, publish_role_table
from serving.signature import Column, Signature
from streaming.codec import decode, encode
from streaming.events import ControlEvent, PredictionEvent
from streaming.ids import new_event_ids
from streaming.segments import open_segment_log
from streaming.settings import StreamingSettings

NOW = datetime.now(UTC)


def until(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def publish(data_dir: Path, version: str, generation: int, factor: float) -> None:
    """A bundle of a one-column regressor that multiplies, as shadow."""
    folder = data_dir / "bundles" / "toy" / f"{version}-abc"
    folder.mkdir(parents=True)
    nodes = [
        helper.make_node("Mul", ["numbers", "factor"], ["product"]),
        helper.make_node("Squeeze", ["product", "axes"], ["values"]),
    ]
    constants = [
        numpy_helper.from_array(np.array([factor]), "factor"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "axes"),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("numbers", TensorProto.DOUBLE, [None, 1])],
        [helper.make_tensor_value_info("values", TensorProto.DOUBLE, [None])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, folder / "model.onnx")
    bundle = Bundle(
        model_name="toy",
        model_version=version,
        digest="abc",
        engine="onnx",
        task="regressor",
        signature=Signature((Column("x", "float"),)),
        example={"x": 1.0},
        latency=LatencyProfile({1: 0.00001, 64: 0.0001}),
        created_at=NOW,
    )
    (folder / "bundle.json").write_bytes(msgspec.json.encode(bundle))
    entry = RoleEntry(version, folder.name)
    table = RoleTable(model_name="toy", generation=generation, published_at=NOW, roles={"shadow": entry})
    publish_role_table(folder.parent, table)


def produced(value: float) -> PredictionEvent:
    return PredictionEvent(
        event_time=NOW,
        recorded_at=NOW,
        event_id=new_event_ids(1)[0],
        request_id="r",
        model_name="toy",
        model_version="1",
        role="production",
        prediction_value=value,
        features={"x": value},
    )


class Stage:
    """A data folder, its log, and the real shadow process."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.log = open_segment_log(StreamingSettings(data_dir=data_dir))
        self.writer = self.log.writer()
        self.reader = self.log.reader("test")
        self.events: list[PredictionEvent | ControlEvent] = []
        self.asked: dict[str, float] = {}
        self.shadow = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "DATA_DIR": str(self.data_dir),
            "MODELS": "toy",
            "SHADOW_BATCH_ROWS": "50",
            "SUPERVISOR_PID": str(os.getpid()),
        }
        with (self.data_dir / "shadow.log").open("ab") as log:
            command = [sys.executable, "-m", "understudy", "run", "shadow", "--alias", "shadow"]
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def ask(self, count: int) -> None:
        events = [produced(float(len(self.asked) + number)) for number in range(count)]
        self.writer.append([[encode(event)] for event in events])
        self.asked |= {event.event_id: event.prediction_value or 0.0 for event in events}

    def answers(self, version: str) -> list[PredictionEvent]:
        while records := self.reader.poll(5000, 0.1):
            decoded = [decode(record.value) for record in records]
            self.events += [event for event in decoded if isinstance(event, PredictionEvent | ControlEvent)]
        shadows = [event for event in self.events if isinstance(event, PredictionEvent) and event.role == "shadow"]
        return [event for event in shadows if event.model_version == version]

    def starts(self) -> list[tuple[str | None, str]]:
        return [(event.model_version, event.control_id) for event in self.events if isinstance(event, ControlEvent)]

    def stop(self) -> None:
        self.shadow.kill()
        self.shadow.wait()
        self.writer.close()
        self.reader.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    publish(tmp_path, "2", 1, 2.0)
    stage = Stage(tmp_path)
    yield stage
    stage.stop()


@pytest.mark.slow
def test_killed_ten_times_it_answers_every_event_exactly_once_by_id(stage: Stage) -> None:
    for _ in range(10):
        before = len(stage.answers("2"))
        stage.ask(1500)
        until(lambda seen=before: len(stage.answers("2")) > seen)  # type: ignore[misc]
        stage.shadow.kill()
        stage.shadow.wait()
        stage.shadow = stage.start()

    until(lambda: {event.origin_event_id for event in stage.answers("2")} >= stage.asked.keys())

    by_id = {event.event_id: event for event in stage.answers("2")}
    assert Counter(event.origin_event_id for event in by_id.values()) == Counter(stage.asked.keys())
    assert {event.origin_event_id: event.prediction_value for event in by_id.values()} == {
        event_id: 2 * value for event_id, value in stage.asked.items()
    }
    assert len(set(stage.starts())) == 1


def test_another_version_takes_over_and_answers_the_past_too(stage: Stage) -> None:
    stage.ask(100)
    until(lambda: len(stage.answers("2")) == 100)

    publish(stage.data_dir, "3", 2, 3.0)
    until(lambda: len(stage.answers("3")) == 100)
    stage.ask(100)
    until(lambda: len(stage.answers("3")) == 200)

    assert len(stage.answers("2")) == 100
    assert [version for version, _ in stage.starts()] == ["2", "3"]
    stage.shadow.send_signal(signal.SIGTERM)
    assert stage.shadow.wait(30) == 0


def test_it_runs_only_when_nobody_else_wants_the_cpu(stage: Stage) -> None:
    stage.ask(1)
    until(lambda: len(stage.answers("2")) == 1)

    if hasattr(os, "sched_getscheduler"):
        assert os.sched_getscheduler(stage.shadow.pid) == os.SCHED_IDLE
    else:
        assert psutil.Process(stage.shadow.pid).nice() == 19


def test_a_new_version_begins_no_earlier_than_the_backfill_allows(stage: Stage) -> None:
    stage.ask(10)
    until(lambda: len(stage.answers("2")) == 10)

    started = next(event for event in stage.events if isinstance(event, ControlEvent))

    received_from = datetime.fromisoformat(started.evidence["received_from"])
    assert started.kind == "shadow_started"
    assert timedelta(minutes=59) < started.recorded_at - received_from < timedelta(minutes=61)
