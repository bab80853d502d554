"""Memory of a worker, and how long the first answer takes: warm, and from nothing.

Memory is read after load of single rows, batches of a hundred and of a thousand, with both models of flights (strings
and numbers) warm in ONNX; the most counts. A start is timed from the
command to the first 200 of /ready, the installation left out.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import psutil

from prove.bars import Figure, Result, median, number, spread
from prove.load import post
from prove.system import System, environment_of, folder_for, running

WARM_STARTS = 5
LOAD_SECONDS = 5.0
ORDINARY_ROWS = 100
LARGE_ROWS = 1_000
MEGABYTE = 1e6


def prove() -> Result:
    """First start, memory under load, warm starts, in one folder."""
    result = Result("footprint")
    with folder_for("footprint") as folder:
        environment = environment_of(folder, MODELS="flights")
        with running(environment) as system:
            first = system.ready_seconds
            result.figures += _memory(system, result)
            result.notes.append(f"first start: ready after {first:.1f} s; {_phases(folder)}")
        warm = [_warm_start(environment) for _ in range(WARM_STARTS)]
    result.figures += [
        Figure("warm start to ready, median", median(warm), 6, "at most", "s"),
        Figure("first start to ready", first, 120, "at most", "s"),
    ]
    result.notes.append(f"warm start to ready: {spread(warm)} s (min/median/max of {WARM_STARTS})")
    return result


def _memory(system: System, result: Result) -> list[Figure]:
    """A worker after ordinary load, which the bar is for; after large batches as a note."""
    system.versions("production", "shadow")
    roles = system.get("/models")["models"][0]["roles"]
    engines = {roles[role]["engine"] for role in ("production", "shadow")}
    if engines != {"onnx"}:
        raise SystemExit(f"the bar is for ONNX, but the engines are {engines}")
    worker, example = system.processes("api")[0], roles["production"]["example"]
    sizes = [worker.memory_info().rss / MEGABYTE]
    for rows in (1, ORDINARY_ROWS, LARGE_ROWS):
        body = system.folder / f"{rows}.json"
        body.write_text(json.dumps(example if rows == 1 else {"instances": [example] * rows}))
        post(f"{system.url}/predict", body, worker, connections=32, seconds=LOAD_SECONDS, key=system.key)
        sizes.append(worker.memory_info().rss / MEGABYTE)
    fresh, single, ordinary, large = sizes
    result.notes += [
        (
            f"worker RSS: {fresh:.0f} MB before load; then 32 connections for {LOAD_SECONDS:g} s each: {single:.0f} MB after "
            f"single rows, {ordinary:.0f} MB after batches of {ORDINARY_ROWS}, {large:.0f} MB after batches of "
            f"{LARGE_ROWS:,}; at the end of its own (USS) "
            f"{worker.memory_full_info().uss / MEGABYTE:.0f} MB{_shared(worker)}"
        ),
        f"all processes (RSS): {_others(system)}",
    ]
    return [Figure("API worker, production and shadow warm: RSS after load", max(sizes), 150, "at most", "MB")]


def _shared(process: psutil.Process) -> str:
    """What the kernel shares with other processes, where it tells."""
    shared = getattr(process.memory_info(), "shared", None)
    return f", shared {shared / MEGABYTE:.0f} MB" if shared is not None else ""


def _others(system: System) -> str:
    sizes = {
        name: psutil.Process(pid).memory_info().rss / MEGABYTE for name, pid in sorted(system.pids().items()) if pid
    }
    return ", ".join(f"{name} {number(size)} MB" for name, size in sizes.items())


def _warm_start(environment: Mapping[str, str]) -> float:
    with running(environment) as system:
        return system.ready_seconds


def _phases(folder: Path) -> str:
    """What the first start spent its time on, told by the log lines of its processes."""
    moments = [
        ("the API process began", _logged(folder, "api-0", "Started server process")),
        ("both models trained and registered", _logged(folder, "first_models", "registered")),
        ("loader began to compile", _logged(folder, "loader", "bundle_build_started")),
        ("production published", _logged(folder, "loader", "roles_published")),
        ("shadow answered", _logged(folder, "shadow", "shadow_answers")),
    ]
    begun = moments[0][1]
    return ", ".join(f"{name} +{(at - begun).total_seconds():.1f} s" for name, at in moments)


def _logged(folder: Path, process: str, event: str) -> datetime:
    """When a process first logged an event."""
    lines = (folder / "logs" / f"{process}.log").read_text().splitlines()
    return min(datetime.fromisoformat(line.split(maxsplit=1)[0]) for line in lines if f" {event}" in line)
