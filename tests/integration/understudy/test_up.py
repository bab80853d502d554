import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from understudy.supervisor.state import SupervisorState, is_locked, read_state

Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A registry that is not ours, and away: nothing is trained, nothing becomes ready, everything runs."""
    return {
        **{name: value for name, value in os.environ.items() if name != "SUPERVISOR_PID"},
        "DATA_DIR": str(tmp_path / "var"),
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        "API_PORT": "0",
        "STOP_GRACE_SECONDS": "5",
    }


def understudy(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "understudy", *arguments]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def running(environment: dict[str, str], eventually: Eventually) -> Iterator["subprocess.Popen[str]"]:
    argv = [sys.executable, "-m", "understudy", "up"]
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) as process:
        eventually(lambda: len(state_of(environment).children) >= 4)
        yield process
        process.kill()


def run_dir(environment: dict[str, str]) -> Path:
    return Path(environment["DATA_DIR"]) / "run"


def state_of(environment: dict[str, str]) -> SupervisorState:
    nothing = SupervisorState(pid=0, started_at=datetime.fromtimestamp(0, UTC), phase="starting")
    return read_state(run_dir(environment)) or nothing


def test_a_second_up_on_one_folder_is_refused_in_words(
    running: "subprocess.Popen[str]", environment: dict[str, str]
) -> None:
    second = understudy(environment, "up")

    assert second.returncode == 2
    assert f"already runs on {environment['DATA_DIR']} (pid {running.pid})" in second.stderr


def test_down_stops_everything_in_order_and_says_so(
    running: "subprocess.Popen[str]", environment: dict[str, str]
) -> None:
    pids = [child.pid for child in state_of(environment).children if child.pid]

    stopped = understudy(environment, "down")

    assert (stopped.returncode, stopped.stdout) == (0, "Stopping\nStopped.\n")
    assert not is_locked(run_dir(environment))
    assert not any(alive(pid) for pid in pids)
    assert running.wait(timeout=5) == 0


def test_ctrl_c_stops_cleanly(running: "subprocess.Popen[str]", environment: dict[str, str]) -> None:
    running.send_signal(signal.SIGINT)
    story, _ = running.communicate(timeout=60)

    assert running.returncode == 0
    assert story.endswith("Stopping; what is in flight is answered first.\nStopped.\n")


def test_a_taken_port_stops_before_anything_is_started(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = understudy({**environment, "API_PORT": str(port)}, "up")

    assert refused.returncode == 2
    assert f"Port {port} is taken by" in refused.stderr
    assert f"(pid {os.getpid()}): stop it, or set API_PORT to a free port." in refused.stderr
    assert not (Path(environment["DATA_DIR"]) / "logs").exists()


def test_a_running_folder_is_not_reset(running: "subprocess.Popen[str]", environment: dict[str, str]) -> None:
    refused = understudy(environment, "reset", "--yes")

    assert refused.returncode == 2
    assert "understudy down" in refused.stderr


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
