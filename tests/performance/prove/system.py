"""A real Understudy in a folder of its own: trained, started, pinned to cores, stopped."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from prove.load import pin

ROOT = Path(__file__).parents[3]
_COMMAND = [sys.executable, "-m", "understudy"]


@dataclass(frozen=True)
class System:
    """A running system.

    Attributes:
        ready_seconds: From the command to the first 200 of /ready.
    """

    folder: Path
    url: str
    key: str
    environment: Mapping[str, str]
    ready_seconds: float

    def pids(self) -> dict[str, int | None]:
        """Process id of every child by name; None while it waits to be started again."""
        state = json.loads((self.folder / "run" / "supervisor.json").read_text())
        return {child["name"]: child["pid"] for child in state["children"]}

    def processes(self, *roles: str) -> list[psutil.Process]:
        """Running processes by name, e.g. `api-0`, `indexer`; all of a kind for `api`."""
        return [
            psutil.Process(pid)
            for name, pid in self.pids().items()
            if pid and any(name == role or name.startswith(f"{role}-") for role in roles)
        ]

    def versions(self, *roles: str, seconds: float = 120.0) -> dict[str, str]:
        """Version by role of the first model, once each of `roles` has one."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            served = self.get("/models")["models"][0]["roles"]
            if all(role in served for role in roles):
                return {role: served[role]["model_version"] for role in roles}
            time.sleep(0.1)
        raise SystemExit(f"the model has only {', '.join(served)} after {seconds:g} s; see {self.folder / 'logs'}")

    def get(self, path: str) -> Any:
        """A JSON answer of the API."""
        request = urllib.request.Request(self.url + path, headers={"authorization": f"Bearer {self.key}"})
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read())

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs `understudy ARGUMENTS` on this system; an exit code other than 0 ends the proof where `check`."""
        return _run(arguments, self.environment, check=check)


def environment_of(folder: Path, **settings: str) -> dict[str, str]:
    """The environment of a system in a folder, on free ports."""
    own = {"DATA_DIR": str(folder), "API_PORT": str(free_port()), "MLFLOW_UI": "false"}
    inherited = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    return {**inherited, **own, **settings}


@contextlib.contextmanager
def folder_for(name: str) -> Iterator[Path]:
    """An empty folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"prove-{name}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def train(environment: Mapping[str, str], *arguments: str) -> None:
    """`understudy train ARGUMENTS`."""
    _run(("train", *arguments), environment)


@contextlib.contextmanager
def running(
    environment: Mapping[str, str], scopes: Sequence[str] = ("predict", "feedback", "metrics")
) -> Iterator[System]:
    """Starts everything with an API key, waits until ready, and stops it."""
    folder = Path(environment["DATA_DIR"])
    options = [part for scope in scopes for part in ("--scope", scope)]
    created = json.loads(_run(("keys", "create", f"prove-{time.time_ns()}", *options, "--json"), environment).stdout)
    log = (folder / "up.log").open("ab")
    begun = time.monotonic()
    process = subprocess.Popen([*_COMMAND, "up"], env=dict(environment), stdout=log, stderr=log, cwd=ROOT)
    url = f"http://127.0.0.1:{environment['API_PORT']}"
    try:
        wait_until_ready(url, process, folder)
        yield System(folder, url, created["key"], environment, time.monotonic() - begun)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        finally:
            process.kill()


def wait_until_ready(url: str, process: subprocess.Popen[bytes], folder: Path, seconds: float = 300.0) -> None:
    """Waits for /ready; shows what was printed when it does not come."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/ready", timeout=2):
            return
        time.sleep(0.02)
    raise SystemExit(f"the system did not become ready:\n{(folder / 'up.log').read_text()[-3000:]}")


def pin_apart(system: System) -> None:
    """The API on core 0, the readers on core 1, the shadow wherever there is nothing else to do."""
    for process in system.processes("api"):
        pin(process.pid, 0)
    for process in system.processes("loader", "indexer"):
        pin(process.pid, 1)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(
    arguments: Sequence[str], environment: Mapping[str, str], *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*_COMMAND, *arguments], env=dict(environment), capture_output=True, text=True, check=False, cwd=ROOT
    )
    if check and done.returncode:
        raise SystemExit(f"understudy {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done
