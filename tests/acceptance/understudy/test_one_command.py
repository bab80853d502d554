"""A newcomer's first minutes: one command, an answer, a record of it, a way back, and a clean end."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from understudy.supervisor.state import SupervisorState, read_state

pytestmark = pytest.mark.slow
Environment = dict[str, str]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if name not in {"SUPERVISOR_PID", "MLFLOW_TRACKING_URI"}}
    folder = tmp_path_factory.mktemp("newcomer")
    return {**kept, "DATA_DIR": str(folder / "var"), "API_PORT": str(port), "MLFLOW_UI": "false", "WORKERS": "2"}


def understudy(environment: Environment, *arguments: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "understudy", *arguments]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=240, check=False)


def told(environment: Environment, *arguments: str) -> Any:
    return json.loads(understudy(environment, *arguments, "--json").stdout)


def state(environment: Environment) -> SupervisorState:
    found = read_state(Path(environment["DATA_DIR"]) / "run")
    assert found
    return found


@pytest.fixture(scope="module")
def story(environment: Environment) -> Iterator[str]:
    started = understudy(environment, "up", "--detach")
    assert started.returncode == 0, started.stdout + started.stderr
    yield started.stdout
    assert understudy(environment, "down").returncode == 0


def test_the_printed_curl_line_gets_a_prediction(story: str) -> None:
    (line,) = [line for line in story.splitlines() if line.strip().startswith("curl ")]
    words = shlex.split(line)
    url, body = words[2], words[-1]
    request = urllib.request.Request(url, body.encode(), {"content-type": "application/json"})

    with urllib.request.urlopen(request, timeout=20) as response:
        assert json.load(response)["prediction"][0] in {0, 1}


def test_all_is_well(story: str, environment: Environment) -> None:
    for _ in range(60):  # production answers first, the shadow's bundle may still be compiled
        document = told(environment, "status")
        if len(document["models"]) == 2:
            break

    assert document["findings"] == []
    assert {row["process"] for row in document["processes"]} == {"api-0", "api-1", "loader", "indexer", "shadow"}
    assert [row["role"] for row in document["models"]] == ["production", "shadow"]


@pytest.mark.skipif(sys.platform != "linux", reason="SCHED_IDLE is Linux's")
def test_only_what_no_caller_waits_for_runs_when_idle(story: str, environment: Environment) -> None:
    policies = {child.name: os.sched_getscheduler(child.pid) for child in state(environment).children if child.pid}

    assert {name for name, policy in policies.items() if policy == os.SCHED_IDLE} == {"shadow"}


def test_killed_readers_cost_no_answer_and_no_event(story: str, environment: Environment) -> None:
    argv = [sys.executable, "-m", "understudy", "simulate", "--rows", "300", "--rate", "60", "--json"]
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as sender:
        assert sender.stderr
        assert any("Sending" in line for line in sender.stderr)
        for child in state(environment).children:
            if child.name in {"shadow", "indexer"} and child.pid:
                os.kill(child.pid, signal.SIGKILL)
        report = json.loads(sender.communicate(timeout=120)[0])

    assert (report["statuses"], report["failures"]) == ({"200": 300}, {})
    for _ in range(60):
        account = told(environment, "reconcile")
        if account["settled"]:
            break
    assert (account["ok"], account["settled"]) == (True, True)


def test_promote_and_roll_back_change_who_answers(story: str, environment: Environment) -> None:
    before = {row["role"]: row["version"] for row in told(environment, "status")["models"]}

    promoted = understudy(environment, "promote", "flights", before["shadow"])
    after = {row["role"]: row["version"] for row in told(environment, "status")["models"]}
    rolled_back = understudy(environment, "rollback", "flights")

    assert promoted.returncode == 0, promoted.stdout
    assert after == {"production": before["shadow"], "shadow": before["production"]}
    assert f"Version {before['production']} answers" in rolled_back.stdout


def test_a_warm_start_is_ready_within_seconds(story: str, environment: Environment) -> None:
    family = [psutil.Process(child.pid) for child in state(environment).children if child.pid]
    os.kill(state(environment).pid, signal.SIGKILL)
    psutil.wait_procs(family, timeout=20)
    assert not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in family)

    again = understudy(environment, "up", "--detach")

    assert again.returncode == 0, again.stdout + again.stderr
    assert "Ready after" in again.stdout
    assert "first models" not in again.stdout
