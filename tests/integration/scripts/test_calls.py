"""scripts/calls.sh and check_events.sh against a server that only pretends."""

import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

COLUMNS = [
    {"name": "distance", "type": "float"},
    {"name": "hour", "type": "integer"},
    {"name": "carrier", "type": "string", "values": ["AA", "UA"]},
    {"name": "late", "type": "boolean"},
]
EXAMPLE = {"distance": 500.0, "hour": 8, "carrier": "AA", "late": False}
MODELS = {
    "models": [
        {"model_name": "flights", "roles": {"production": {"columns": COLUMNS, "example": EXAMPLE}}},
        {"model_name": "new", "roles": {}},
    ]
}


@dataclass
class Server:
    """What was asked of it, and the statuses it answers with in turn (200 when there are no more)."""

    url: str = ""
    asked: list[tuple[str, str | None, str]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.asked]


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.reply(200, MODELS)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            state.asked.append((self.path, self.headers["authorization"], body))
            self.reply(state.statuses.pop(0) if state.statuses else 200, {"prediction": [0]})

        def reply(self, status: int, document: object) -> None:
            text = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield state
        http.shutdown()


@pytest.fixture
def call(clone: Path, run: Run, server: Server) -> Run:
    def start(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return run("bash", clone / "scripts" / "calls.sh", "--url", server.url, *arguments, stdin=stdin, **environment)

    return start


def test_random_rows_fit_the_schema_and_repeat_with_a_seed(call: Run, server: Server) -> None:
    assert call("--repetitions=20", "--seed=1").returncode == 0
    first = server.rows
    server.asked.clear()
    call("--repetitions=20", "--seed=1")
    assert server.rows == first
    assert {tuple(row) for row in first} == {("distance", "hour", "carrier", "late")}
    assert {row["carrier"] for row in first} == {"AA", "UA"}
    assert {type(row["hour"]) for row in first} == {int}
    assert {type(row["late"]) for row in first} == {bool}
    assert all(250 <= row["distance"] <= 750 for row in first)


def test_each_answer_has_its_time_and_the_summary_counts(call: Run) -> None:
    done = call("--repetitions=3")
    *answers, summary = done.stdout.splitlines()
    assert len(answers) == 3
    assert all(re.fullmatch(r'200 +[\d.]+ ms  \{"prediction": \[0\]\}', line) for line in answers)
    numbers = re.fullmatch(r"calls 3  failures 0  min ([\d.]+) ms  median ([\d.]+) ms  p95 ([\d.]+) ms", summary)
    assert numbers is not None, summary
    low, middle, high = map(float, numbers.groups())
    times = sorted(float(line.split()[1]) for line in answers)
    assert (low, middle, high) == tuple(times)


def test_failures_are_counted_and_make_the_exit_code(call: Run, server: Server) -> None:
    server.statuses = [200, 422, 503]
    done = call("--repetitions=4")
    assert done.returncode == 1
    assert "calls 4  failures 2  " in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()[:4]] == ["200", "422", "503", "200"]


def test_own_rows_from_standard_input_go_round(call: Run, server: Server) -> None:
    assert call("--repetitions=3", "--data", "-", stdin='{"a": 1}\n\n{"a": 2}\n').returncode == 0
    assert server.rows == [{"a": 1}, {"a": 2}, {"a": 1}]


def test_one_document_over_several_lines_is_one_body(call: Run, server: Server, tmp_path: Path) -> None:
    document = tmp_path / "rows.json"
    document.write_text('{"instances":\n [[1, 2]]}\n')
    call("--repetitions=1", "--data", str(document))
    assert server.rows == [{"instances": [[1, 2]]}]


@pytest.mark.parametrize(
    ("arguments", "stdin", "text"),
    [
        (["--data", "-"], "", "--data -: nothing in it"),
        (["--data", "/nowhere"], "", "--data /nowhere: No such file or directory"),
        (["--model", "other"], "", "no model named 'other'; served: flights, new"),
        (["--model", "new"], "", "model 'new' has no production version yet"),
        (["--url", "ftp://x"], "", "is no address such as http://127.0.0.1:8000"),
        (["--url", "http://127.0.0.1:port"], "", "is no address such as http://127.0.0.1:8000"),
        (["--repetitions=0"], "", "--repetitions must be at least 1"),
    ],
)
def test_what_is_wrong_is_said(call: Run, arguments: list[str], stdin: str, text: str) -> None:
    done = call(*arguments, stdin=stdin)
    assert done.returncode not in (0, 130)
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_is_not_there_is_said_with_what_starts_it(clone: Path, run: Run) -> None:
    done = run("bash", clone / "scripts" / "calls.sh", "--url", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "is it started? scripts/up" in done.stderr


def test_model_and_key_are_sent(call: Run, server: Server) -> None:
    assert call("--repetitions=1", "--model", "flights", "--api-key", "secret").returncode == 0
    assert server.asked[0][:2] == ("/predict/flights", "Bearer secret")


def test_address_and_key_come_from_the_env_file(clone: Path, run: Run, server: Server) -> None:
    port = server.url.rpartition(":")[2]
    (clone / ".env").write_text(f"# mine\nAPI_PORT={port}\nAPI_KEY='k e y'\n")
    done = run("bash", clone / "scripts" / "calls.sh", "--repetitions=1")
    assert done.returncode == 0, done.stderr
    assert server.asked[0][1] == "Bearer k e y"


def test_the_environment_wins_over_the_env_file(clone: Path, run: Run, server: Server) -> None:
    (clone / ".env").write_text("API_PORT=1\n")
    done = run("bash", clone / "scripts" / "calls.sh", "--repetitions=1", API_PORT=server.url.rpartition(":")[2])
    assert done.returncode == 0, done.stderr


def test_checking_events_before_the_installation_says_what_to_run(clone: Path, run: Run) -> None:
    done = run("bash", clone / "scripts" / "check_events.sh")
    assert (done.returncode, done.stderr) == (2, "Not installed yet: run scripts/up\n")


@pytest.mark.parametrize("code", [0, 1])
def test_checking_events_passes_the_exit_code_on(clone: Path, run: Run, code: int) -> None:
    program = clone / ".venv" / "bin" / "understudy"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\necho "$* in $(basename "$PWD")"; exit {code}\n')
    program.chmod(0o755)
    done = run("bash", clone / "scripts" / "check_events.sh", "--json")
    assert (done.returncode, done.stdout) == (code, "events --json in my clone\n")
