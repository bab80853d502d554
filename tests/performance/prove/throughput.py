"""What Understudy costs on top of a bare echo: CPU a request, requests a second, latency of one connection.

Auth, rate limit, validation, events (DURABILITY=os), indexer and a shadow are on. The echo answers as many bytes as
the model does. Both workers sit on core 0, wrk and the readers on core 1; runs are interleaved.
"""

import contextlib
import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from prove.bars import Figure, Result, median, number, spread
from prove.load import Load, pin, post
from prove.system import System, environment_of, folder_for, pin_apart, running, train

PAIRS = 10
SECONDS = 2.0
CONNECTIONS = 32


@dataclass(frozen=True)
class Bars:
    """Of one model: CPU and requests/s at 32 connections, p50 of one connection, as ratios to the echo."""

    cpu: float
    per_second: float
    p50: float | None


@dataclass(frozen=True)
class Target:
    """Where a run of wrk goes."""

    url: str
    body: Path
    server: psutil.Process
    key: str = ""

    def run(self, connections: int) -> Load:
        """One run."""
        load = post(self.url, self.body, self.server, connections=connections, seconds=SECONDS, key=self.key)
        if load.not_200 or load.socket_errors:
            raise SystemExit(f"{self.url}: {load.not_200} answers were not 200, {load.socket_errors} socket errors")
        return load


def prove() -> Result:
    """Both models."""
    result = Result("throughput")
    with folder_for("forest") as folder:
        environment = environment_of(folder, MODELS="breast_cancer", RATE_LIMIT_PER_SECOND="1000000")
        train(environment, "--dataset", "breast_cancer", "--model", "forest", "--role", "production")
        train(environment, "--dataset", "breast_cancer", "--model", "logistic", "--role", "shadow")
        _measure(environment, "breast_cancer", Bars(cpu=1.6, per_second=0.60, p50=2.5), result)
    with folder_for("flights") as folder:
        environment = environment_of(folder, MODELS="flights", RATE_LIMIT_PER_SECOND="1000000")
        _measure(environment, "flights", Bars(cpu=2.2, per_second=0.45, p50=None), result)
    return result


def _measure(environment: dict[str, str], name: str, bars: Bars, result: Result) -> None:
    with running(environment) as system:
        pin_apart(system)
        body = system.folder / "body.json"
        (model,) = system.get("/models")["models"]
        body.write_text(json.dumps(model["roles"]["production"]["example"]))
        ours = Target(f"{system.url}/predict", body, system.processes("api")[0], system.key)
        with _echo(_answer_size(system, body)) as (url, process):
            echo = Target(url, body, process)
            _compare(ours, echo, name, bars, result)


def _compare(ours: Target, echo: Target, name: str, bars: Bars, result: Result) -> None:
    for target in (ours, echo):
        target.run(CONNECTIONS)
    rounds = [(echo.run(CONNECTIONS), ours.run(CONNECTIONS), echo.run(CONNECTIONS)) for _ in range(PAIRS)]
    cpu = [mine.cpu_per_request / first.cpu_per_request for first, mine, _ in rounds]
    per_second = [mine.per_second / first.per_second for first, mine, _ in rounds]
    result.figures += [
        Figure(f"{name}: CPU a request / echo", median(cpu), bars.cpu, "at most", "x"),
        Figure(f"{name}: requests/s / echo", median(per_second), bars.per_second, "at least", "x"),
    ]
    again = [last.cpu_per_request / first.cpu_per_request for first, _, last in rounds]
    result.notes.append(
        f"{name}: CPU ratio min/median/max {spread(cpu)}; requests/s ratio {spread(per_second)}; "
        f"echo against itself (CPU) {spread(again)}; {PAIRS} rounds of {SECONDS:g} s, {CONNECTIONS} connections"
    )
    result.notes.append(
        f"{name}: {_absolute([mine for _, mine, _ in rounds])}; echo {_absolute([e for e, _, _ in rounds])}"
    )
    if bars.p50 is not None:
        _compare_latency(ours, echo, name, bars.p50, result)


def _absolute(loads: Sequence[Load]) -> str:
    cpu = median([load.cpu_per_request for load in loads]) * 1e6
    return f"{number(median([load.per_second for load in loads]))} requests/s at {cpu:.1f} us CPU"


def _compare_latency(ours: Target, echo: Target, name: str, bar: float, result: Result) -> None:
    rounds = [(echo.run(1), ours.run(1)) for _ in range(PAIRS)]
    ratios = [mine.p50 / first.p50 for first, mine in rounds]
    result.figures.append(Figure(f"{name}: p50 of one connection / echo", median(ratios), bar, "at most", "x"))
    result.notes.append(
        f"{name}: one connection p50 {median([mine.p50 for _, mine in rounds]) * 1e6:.0f} us, "
        f"echo {median([first.p50 for first, _ in rounds]) * 1e6:.0f} us; ratio {spread(ratios)}"
    )


def _answer_size(system: System, body: Path) -> int:
    headers = {"content-type": "application/json", "authorization": f"Bearer {system.key}"}
    request = urllib.request.Request(f"{system.url}/predict", body.read_bytes(), headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return len(response.read())


@contextlib.contextmanager
def _echo(size: int) -> Iterator[tuple[str, psutil.Process]]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    descriptor = listener.fileno()
    command = [sys.executable, "-m", "prove.echo", str(descriptor), str(size)]
    process = subprocess.Popen(command, pass_fds=[descriptor])
    pin(process.pid, 0)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/predict", psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(10)
        listener.close()
