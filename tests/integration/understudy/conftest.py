"""Real small processes under a real supervisor, in this test's main thread."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from understudy.supervisor.children import ChildSpec
from understudy.supervisor.restart import RestartPolicy
from understudy.supervisor.signals import Signals
from understudy.supervisor.supervisor import Supervisor

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


@pytest.fixture
def signals() -> Iterator[Signals]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield Signals()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def supervisor(signals: Signals, tmp_path: Path) -> Iterator[Supervisor]:
    policy = RestartPolicy(base_seconds=0.2, max_seconds=1.0)
    supervisor = Supervisor(signals, grace_seconds=5.0, logs_dir=tmp_path / "logs", policy=policy)
    yield supervisor
    signals.stop_requests += 2
    supervisor.stop()


@pytest.fixture
def python() -> Callable[..., ChildSpec]:
    """Makes a child out of a few lines of Python."""

    def make(name: str, program: str, *arguments: str, stop_rank: int = 1) -> ChildSpec:
        return ChildSpec(name=name, argv=(sys.executable, "-c", program, *arguments), stop_rank=stop_rank)

    return make


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Waits for something another process does, and fails when it does not happen."""

    def wait(condition: Callable[[], object], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.02)

    return wait
