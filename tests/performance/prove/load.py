"""wrk, the load generator: closed loop, a fixed number of connections."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil

_SCRIPT = Path(__file__).with_name("post.lua")


@dataclass(frozen=True)
class Load:
    """What one run of wrk measured; latencies in seconds."""

    requests: int
    seconds: float
    not_200: int
    socket_errors: int
    p50: float
    p99: float
    server_cpu_seconds: float

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def cpu_per_request(self) -> float:
        """CPU seconds of the serving process a request."""
        return self.server_cpu_seconds / self.requests


def require_wrk() -> str:
    """The program, or an explanation."""
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("wrk is missing: sudo apt install wrk    (macOS: brew install wrk)")
    return program


def post(url: str, body: Path, server: psutil.Process, *, connections: int, seconds: float, key: str = "") -> Load:
    """Posts one body over and over, and measures it and the server's CPU."""
    environment = {**os.environ, "BODY_FILE": str(body), "API_KEY": key}
    command = [require_wrk(), "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(_SCRIPT), url]
    before = _cpu(server)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, preexec_fn=_on_core_1)
    cpu = _cpu(server) - before
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    return Load(
        requests=figures["requests"],
        seconds=figures["microseconds"] / 1e6,
        not_200=figures["not_200"],
        socket_errors=figures["socket_errors"],
        p50=figures["p50"] / 1e6,
        p99=figures["p99"] / 1e6,
        server_cpu_seconds=cpu,
    )


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _on_core_1() -> None:
    pin(os.getpid(), 1)


def pin(pid: int, core: int) -> None:
    """Keeps a process on one core, where the system has that and more than one."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(pid, {core})
