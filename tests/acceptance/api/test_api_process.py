"""Real API processes under load: reloaded, stopped and killed, they lose nothing that was answered."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from serving.bundle import read_bundle
from serving.engines.model_process import ModelServer, listening
from serving.engines.process import socket_path
from serving.rows import Answers, Rows

IRIS = {"sepal length (cm)": 5.1, "sepal width (cm)": 3.5, "petal length (cm)": 1.4, "petal width (cm)": 0.2}
BODY = json.dumps(IRIS).encode()
HEADERS = {"content-type": "application/json"}


class Caller:
    """Asks on one connection, again and again, until told to stop or the connection is lost."""

    def __init__(self, port: int, stop: threading.Event) -> None:
        self.port = port
        self.stop = stop
        self.statuses: list[int] = []
        self.versions: list[str] = []
        self.event_ids: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            while not self.stop.is_set():
                connection.request("POST", "/predict", BODY, HEADERS)
                answer = connection.getresponse()
                answer.read()
                self.statuses.append(answer.status)
                self.versions.append(answer.headers["x-model-version"])
                self.event_ids.append(answer.headers["x-event-id"])
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()


class Load:
    """Several callers at once."""

    def __init__(self, port: int, count: int) -> None:
        self.stop = threading.Event()
        self.callers = [Caller(port, self.stop) for _ in range(count)]
        self._threads = [threading.Thread(target=caller.run) for caller in self.callers]
        for thread in self._threads:
            thread.start()

    @property
    def answered(self) -> int:
        return sum(len(caller.event_ids) for caller in self.callers)

    @property
    def event_ids(self) -> set[str]:
        return {event_id for caller in self.callers for event_id in caller.event_ids}

    @property
    def statuses(self) -> set[int]:
        return {status for caller in self.callers for status in caller.statuses}

    def end(self) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join(30)


@pytest.mark.parametrize("fast_path", ["true", "false"])
def test_twenty_swaps_under_load_fail_nobody_and_never_go_back(
    start_api: Callable[..., Any], until: Callable[..., None], fast_path: str
) -> None:
    api = start_api(workers=2, FAST_PATH=fast_path, MODELS="iris")
    swaps = 20
    load = Load(api.port, 12)
    for number in range(swaps):
        before, generation = load.answered, 2 + number
        api.publish("iris", generation, production="2" if generation % 2 == 0 else "1")
        until(lambda seen=before: load.answered >= seen + 15)
        until(lambda wanted=generation: f"generation={wanted} " in api.said)
    last = "2" if (1 + swaps) % 2 == 0 else "1"
    until(lambda: taken_over(api.said, 1 + swaps) == 2)
    after = [api.post("/predict", IRIS).headers["x-model-version"] for _ in range(10)]
    load.end()

    assert load.statuses == {200}
    assert load.answered >= 300
    assert after == [last] * 10
    assert max(delays(api.said)) < 3.0
    events = {event.event_id: event for event in api.events()}
    told = {
        event_id: version
        for caller in load.callers
        for event_id, version in zip(caller.event_ids, caller.versions, strict=True)
    }
    assert {event_id: events[event_id].model_version for event_id in told} == told
    assert set(told.values()) == {"1", "2"}
    assert api.stop() == 0


def taken_over(said: str, generation: int) -> int:
    return said.count(f"generation={generation} ")


def delays(said: str) -> list[float]:
    """Seconds from publication to take-over, of every swap that was logged after the start."""
    lines = [line for line in said.splitlines() if "roles_taken_over" in line and "generation=1 " not in line]
    return [float(line.partition("seconds_since_published=")[2].split()[0]) for line in lines]


def test_each_connection_sees_generations_only_go_forward(
    start_api: Callable[..., Any], until: Callable[..., None]
) -> None:
    api = start_api(MODELS="iris")
    load = Load(api.port, 4)
    until(lambda: load.answered > 20)
    api.publish("iris", 3, production="2")
    until(lambda: all(caller.versions[-1] == "2" for caller in load.callers))
    api.publish("iris", 2, production="1")
    seen = load.answered
    until(lambda: load.answered > seen + 300)
    load.end()

    for caller in load.callers:
        assert caller.versions == sorted(caller.versions)
    assert load.statuses == {200}


def test_a_broken_table_keeps_the_old_and_does_not_hold_up_other_models(
    start_api: Callable[..., Any], until: Callable[..., None]
) -> None:
    api = start_api(MODELS="trips,iris")
    (api.data_dir / "bundles" / "trips" / "roles.json").write_text("{not a table")
    until(lambda: "roles_not_taken_over" in api.said)
    api.publish("iris", 2, production="2")

    began = time.monotonic()
    until(lambda: api.post("/predict/iris", IRIS).headers["x-model-version"] == "2")
    assert time.monotonic() - began < 3.0
    trip = {"hour": 20, "carrier": "AA", "distance km": 900.5, "wet": True}
    assert api.post("/predict/trips", trip).status == 200


@pytest.mark.parametrize("durability", ["os", "disk"])
def test_sigterm_under_load_answers_and_records_what_is_in_flight(
    start_api: Callable[..., Any], until: Callable[..., None], durability: str
) -> None:
    api = start_api(MODELS="iris", DURABILITY=durability)
    load = Load(api.port, 8)
    until(lambda: load.answered > 200)

    code = api.stop()
    load.end()

    assert code == 0
    assert load.statuses == {200}
    recorded = [event.event_id for event in api.events()]
    assert len(set(recorded)) == len(recorded)
    assert set(recorded) == load.event_ids


def test_a_killed_worker_keeps_all_it_had_acknowledged_and_is_replaced(
    start_api: Callable[..., Any], until: Callable[..., None]
) -> None:
    api = start_api(workers=2, MODELS="iris")
    load = Load(api.port, 8)
    until(lambda: load.answered > 200)
    for worker in psutil.Process(api.process.pid).children():
        os.kill(worker.pid, signal.SIGKILL)
    load.end()

    assert load.statuses == {200}
    assert load.event_ids <= {event.event_id for event in api.events()}
    until(lambda: api.post("/predict", IRIS).status == 200)
    assert api.stop() == 0


class GatedModel:
    """Answers class 0; stands still while `gate` is closed."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)

    def predict(self, rows: Rows) -> Answers:
        self.entered.release()
        self.gate.wait()
        return Answers([0] * len(rows), [[1.0, 0.0, 0.0]] * len(rows))


@pytest.fixture
def gated(start_api: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, GatedModel]]:
    """An API whose model runs behind a socket and answers when the test lets it; at most 3 requests at once."""
    # An alarm belongs to the main thread of a process of its own, which this server does not have.
    monkeypatch.setattr(signal, "alarm", lambda seconds: 0)
    model, stop = GatedModel(), threading.Event()
    threads: list[threading.Thread] = []
    doors: list[Any] = []

    def prepare(data_dir: Path) -> None:
        folder = data_dir / "bundles" / "iris" / "1-abc"
        bundle = msgspec.structs.replace(read_bundle(folder), engine="process")
        (folder / "bundle.json").write_bytes(msgspec.json.encode(bundle))
        where = socket_path(folder, data_dir / "run")
        where.parent.mkdir(parents=True)
        doors.append(listening(where))
        threads.append(threading.Thread(target=ModelServer(doors[0].__enter__(), model.predict).serve, args=(stop,)))
        threads[0].start()

    yield start_api(prepare, MODELS="iris", MAX_IN_FLIGHT="3"), model
    model.gate.set()
    stop.set()
    threads[0].join()
    doors[0].__exit__(None, None, None)


def test_too_many_at_once_are_a_429_and_the_others_are_answered(
    gated: tuple[Any, GatedModel], until: Callable[..., None]
) -> None:
    api, model = gated
    model.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(api.post, "/predict", IRIS) for _ in range(8)]
        until(lambda: sum(one.done() for one in asked) == 5)
        refused = [one.result() for one in asked if one.done()]
        alive = api.get("/health")
        model.gate.set()
        answers = [one.result() for one in asked]

    assert [one.status for one in refused] == [429] * 5
    assert "3 requests are in flight" in refused[0].json["detail"]
    assert int(refused[0].headers["retry-after"]) >= 1
    assert alive.status == 200
    assert sorted(one.status for one in answers) == [200] * 3 + [429] * 5
    assert len(api.events()) == 3
    assert api.post("/predict", IRIS).status == 200


def test_sigterm_waits_for_a_slow_model(gated: tuple[Any, GatedModel], until: Callable[..., None]) -> None:
    api, model = gated
    model.gate.clear()
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(api.post, "/predict", IRIS) for _ in range(4)]
        until(lambda: any(one.done() for one in asked))  # one is turned away: the other three are in
        api.process.send_signal(signal.SIGTERM)
        until(lambda: "Shutting down" in api.said)
        assert sum(one.done() for one in asked) == 1
        model.gate.set()
        answers = [one.result() for one in asked]

    answered = [one.headers["x-event-id"] for one in answers if one.status == 200]
    assert sorted(one.status for one in answers) == [200, 200, 200, 429]
    assert api.process.wait(30) == 0
    assert sorted(event.event_id for event in api.events()) == sorted(answered)


def test_counters_of_all_workers_are_merged_exactly(
    start_api: Callable[..., Any], until: Callable[..., None], tmp_path: Path
) -> None:
    api = start_api(workers=2, MODELS="iris", PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    load = Load(api.port, 8)
    until(lambda: load.answered > 300)
    load.end()

    text = api.get("/metrics").body.decode()
    counted = [line for line in text.splitlines() if line.startswith("predictions_total{")]
    assert sum(float(line.rpartition(" ")[2]) for line in counted) == load.answered
    assert len(api.events()) == load.answered
    assert "pid=" not in text


def test_the_worker_imports_no_training_or_registry_library() -> None:
    program = (
        "import sys, understudy.roles.api, serving.engines.onnx, serving.engines.process;"
        "print(*sorted({'mlflow', 'sklearn', 'skops', 'onnx', 'pandas', 'boto3', 'skl2onnx'} & sys.modules.keys()))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == ""
