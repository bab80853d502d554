import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from serving.engines.frames import call_of, frame
from serving.engines.model_process import ModelServer, listening, owned
from serving.engines.process import ProcessEngine, socket_path
from serving.errors import EngineError, EngineUnavailableError
from serving.rows import Answers, Rows


def rows(*values: float) -> Rows:
    return Rows(np.array(values, dtype=np.float64).reshape(-1, 1), [()] * len(values))


class Model:
    """Doubles; refuses 666; stands still while `gate` is closed."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.batches: list[int] = []

    def predict(self, given: Rows) -> Answers:
        self.entered.release()
        self.gate.wait()
        self.batches.append(len(given))
        if (given.numbers == 666).any():
            raise ValueError("refused")
        return Answers((given.numbers[:, 0] * 2).tolist(), None)


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def path(tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # An alarm belongs to the main thread of a process of its own, which this server does not have.
    monkeypatch.setattr(signal, "alarm", lambda seconds: 0)
    where = socket_path(tmp_path / "bundle", tmp_path / "run")
    where.parent.mkdir(parents=True)
    stop = threading.Event()
    with listening(where) as listener:
        thread = threading.Thread(target=ModelServer(listener, model.predict).serve, args=(stop,))
        thread.start()
        yield where
        stop.set()
        model.gate.set()
        thread.join()


@pytest.fixture
def engine(path: Path) -> Iterator[ProcessEngine]:
    engine = ProcessEngine(path)
    yield engine
    engine.close()


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_it_answers_many_threads_each_with_its_own(engine: ProcessEngine) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda value: engine.predict(rows(value)).predictions, range(200)))

    assert answers == [[2.0 * value] for value in range(200)]


def test_what_waits_while_the_model_works_is_one_batch(path: Path, model: Model, engine: ProcessEngine) -> None:
    model.gate.clear()
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(engine.predict, rows(1))
        model.entered.acquire()
        others = []
        for value in range(2, 10):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(os.fspath(path))
            connection.sendall(frame(call_of(rows(value))))
            others.append(connection)
        model.gate.set()
        assert first.result().predictions == [2.0]
        for connection in others:
            assert connection.recv(4)
            connection.close()

    assert model.batches == [1, 8]


def test_a_bad_caller_and_one_that_leaves_harm_nobody(path: Path, model: Model, engine: ProcessEngine) -> None:
    model.gate.clear()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(engine.predict, rows(1))
        model.entered.acquire()
        leaver = socket.socket(socket.AF_UNIX)
        leaver.connect(os.fspath(path))
        leaver.sendall(frame(call_of(rows(5))))
        leaver.close()
        bad = pool.submit(engine.predict, rows(666))
        good = pool.submit(engine.predict, rows(3))
        model.gate.set()

        assert first.result().predictions == [2.0]
        assert good.result().predictions == [6.0]
        with pytest.raises(EngineError, match="ValueError: refused"):
            bad.result()


def test_junk_ends_only_its_own_connection(path: Path, engine: ProcessEngine) -> None:
    for junk in (b"\xff\xff\xff\xff", b"\x00\x00\x00\x03abc", b"\x00\x00\x00\x01\x93"):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(os.fspath(path))
            stranger.sendall(junk)
            assert stranger.recv(1) == b""

    assert engine.predict(rows(4)).predictions == [8.0]


def test_a_caller_that_takes_nothing_holds_up_nobody(path: Path, engine: ProcessEngine) -> None:
    with socket.socket(socket.AF_UNIX) as lazy:
        lazy.connect(os.fspath(path))
        lazy.settimeout(0.2)
        calls = frame(call_of(rows(*[1.0] * 5000))) * 400
        with pytest.raises(TimeoutError):
            lazy.sendall(calls)

        assert engine.predict(rows(4)).predictions == [8.0]


def test_a_slow_model_is_a_named_error_and_the_engine_goes_on(path: Path, model: Model) -> None:
    engine = ProcessEngine(path, timeout_seconds=0.2)
    model.gate.clear()

    with pytest.raises(EngineError, match=r"within 0\.2 s"):
        engine.predict(rows(1))

    model.gate.set()
    until(lambda: len(model.batches) == 1)
    assert engine.predict(rows(2)).predictions == [4.0]
    engine.close()


def test_no_process_is_another_error_than_a_failing_one(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailableError, match="no model process listens"):
        ProcessEngine(tmp_path / "none.sock").predict(rows(1))


def test_patience_outlasts_a_restart(tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "alarm", lambda seconds: 0)
    path = socket_path(tmp_path / "b", tmp_path)
    path.parent.mkdir()
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        engine = ProcessEngine(path, patience_seconds=30)
        asked = pool.submit(engine.predict, rows(1))
        with listening(path) as listener:
            server = threading.Thread(target=ModelServer(listener, model.predict).serve, args=(stop,))
            server.start()
            assert asked.result().predictions == [2.0]
            engine.close()
            stop.set()
            server.join()


def test_a_deep_folder_gets_a_short_socket_path(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["folder"] * 20)

    assert len(os.fsencode(socket_path(tmp_path / "bundle", deep))) <= 100
    assert socket_path(tmp_path / "bundle", deep) == socket_path(tmp_path / "bundle", deep)
    assert socket_path(tmp_path / "bundle", deep) != socket_path(tmp_path / "bundle", deep / "another")


def test_only_one_live_process_owns_a_socket(tmp_path: Path) -> None:
    path = socket_path(tmp_path / "b", tmp_path)
    script = (
        "import sys, pathlib; from serving.engines.model_process import owned\n"
        "with owned(pathlib.Path(sys.argv[1])) as mine: print(mine, flush=True); mine and sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    with owned(path) as mine:
        assert not mine
    holder.kill()
    holder.communicate()
    with owned(path) as mine:
        assert mine
