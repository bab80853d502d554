"""One system, trained once, used as a person does: by commands, scripts and HTTP."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from understudy.supervisor.state import SupervisorState, read_state

ROOT = Path(__file__).parents[3]
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Whole:
    """A DATA_DIR, and what a person does with it."""

    environment: dict[str, str]

    @property
    def folder(self) -> Path:
        return Path(self.environment["DATA_DIR"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.environment['API_PORT']}"

    def understudy(self, *arguments: str) -> Done:
        """`understudy ARGUMENTS`."""
        argv = [sys.executable, "-m", "understudy", *arguments]
        return subprocess.run(argv, env=self.environment, capture_output=True, text=True, timeout=120, check=False)

    def told(self, *arguments: str) -> Any:
        """`understudy ARGUMENTS --json`."""
        return json.loads(self.understudy(*arguments, "--json").stdout)

    def script(self, name: str, *arguments: str, typed: str = "", **environment: str) -> Done:
        """`scripts/NAME ARGUMENTS`, with `typed` on its standard input."""
        return subprocess.run(
            ["bash", str(ROOT / "scripts" / name), *arguments],
            env={**self.environment, **environment},
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def ask(self, path: str, body: object = None, **headers: str) -> tuple[Any, dict[str, str]]:
        """An answer of the API and its headers; posts when there is a body."""
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, content, {"content-type": "application/json", **headers})
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response), {name.lower(): value for name, value in response.headers.items()}

    def roles(self) -> dict[str, str]:
        """Version by role, as served."""
        return {row["role"]: row["version"] for row in self.told("status")["models"]}

    def example(self) -> dict[str, Any]:
        """One valid row."""
        models, _ = self.ask("/models")
        example: dict[str, Any] = models["models"][0]["roles"]["production"]["example"]
        return example

    def state(self) -> SupervisorState | None:
        """The running supervisor."""
        return read_state(self.folder / "run")

    def up(self) -> Done:
        """`understudy up --detach`, which must work."""
        done = self.understudy("up", "--detach")
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def eventually(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        """Waits for what other processes do."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.understudy("logs", "--lines", "20").stdout
            time.sleep(0.02)

    def settle(self) -> dict[str, Any]:
        """The account of `reconcile`, once nothing is on its way."""
        accounts: list[dict[str, Any]] = []

        def settled() -> bool:
            accounts.append(self.told("reconcile"))
            return bool(accounts[-1]["settled"])

        self.eventually(settled)
        return accounts[-1]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """Two versions of breast_cancer: 1 is production, 2 its shadow. Whatever runs at the end is stopped."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    foreign = {"SUPERVISOR_PID", "MLFLOW_TRACKING_URI", "PROMETHEUS_MULTIPROC_DIR", "API_KEY"}
    own = {
        "DATA_DIR": str(tmp_path_factory.mktemp("whole") / "var"),
        "API_PORT": str(port),
        "MODELS": "breast_cancer",
        "MLFLOW_UI": "false",
        "LOADER_POLL_SECONDS": "0.5",
    }
    whole = Whole({**{name: value for name, value in os.environ.items() if name not in foreign}, **own})
    for model, role in (("logistic", "production"), ("forest", "shadow")):
        done = whole.understudy("train", "--dataset", "breast_cancer", "--model", model, "--role", role)
        assert done.returncode == 0, done.stdout + done.stderr
    yield whole
    whole.understudy("down")
    state = whole.state()
    if state is not None:
        os.kill(state.pid, signal.SIGKILL)


@pytest.fixture
def whole(trained: Whole) -> Whole:
    """Running, with both roles served."""
    if trained.state() is None:
        trained.up()
    trained.eventually(lambda: trained.roles().keys() == {"production", "shadow"})
    return trained
