"""What is checked before anything is installed."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def check(clone: Path, run: Run) -> Callable[..., list[str]]:
    def call(**settings: str) -> list[str]:
        done = run(sys.executable, clone / "scripts" / "preflight.py", **{"MLFLOW_UI": "false", **settings})
        assert done.returncode == (1 if done.stderr else 0)
        return done.stderr.splitlines()

    return call


def free() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return str(probe.getsockname()[1])


def test_nothing_is_said_when_all_is_well(check: Callable[..., list[str]]) -> None:
    assert check(API_PORT=free()) == []


def test_the_holder_of_a_taken_port_is_named_with_a_free_one(check: Callable[..., list[str]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (said,) = check(API_PORT=str(port))
    assert said.startswith(f"Port {port} is taken by ")
    other = int(said.rpartition("API_PORT=")[2].split()[0])
    assert port < other < port + 100


def test_a_port_from_the_env_file_is_the_one_that_is_tried(clone: Path, check: Callable[..., list[str]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (clone / ".env").write_text(f'export api_port = "{port}" # mine\n')
        assert check()[0].startswith(f"Port {port} is taken by ")


def test_a_port_of_the_ui_chosen_by_hand_must_be_free(check: Callable[..., list[str]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (said,) = check(API_PORT=free(), MLFLOW_PORT=str(port), MLFLOW_UI="true")
    assert said.startswith(f"Port {port} is taken by ")
    assert "MLFLOW_PORT=" in said


def test_another_registry_needs_no_port_of_the_ui(check: Callable[..., list[str]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = str(server.getsockname()[1])
        assert check(API_PORT=free(), MLFLOW_PORT=taken, MLFLOW_UI="true", MLFLOW_TRACKING_URI="http://there") == []


@pytest.mark.parametrize("wrong", ["http", "0", "70000"])
def test_what_is_no_port_is_said(check: Callable[..., list[str]], wrong: str) -> None:
    assert check(API_PORT=wrong) == [f"API_PORT={wrong} is no port: give a number from 1 to 65535"]


def test_too_little_disk_is_said(clone: Path, check: Callable[..., list[str]]) -> None:
    program = clone / "scripts" / "preflight.py"
    program.write_text(program.read_text().replace("4 * 10**9", "10**18"))
    (said,) = check(API_PORT=free())
    assert "GB are free here; the installation and first models need 4 GB" in said
