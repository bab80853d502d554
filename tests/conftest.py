"""A real API process for the tests that speak HTTP to it; everything else is the folders' own."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, settings

# On a busy machine a slow draw says nothing about the code; tests have a time limit of their own.
settings.register_profile("shared_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared_machine")

_MAKE_BUNDLES = Path(__file__).parent / "contract" / "serving_http" / "make_bundles.py"
_PATIENCE_SECONDS = 30.0
_OURS = ("FAST_PATH", "MODELS", "API_", "LOG_", "MAX_", "RATE_", "EXTRA_", "DURABILITY", "UNDERSTUDY_", "PROMETHEUS_")


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problems(self) -> dict[str, str]:
        """Of a 422: the dotted place of each bad field, and what is wrong with it."""
        return {".".join(map(str, one["loc"])): one["msg"] for one in self.json["detail"]}


class Api:
    """One `understudy run api` process over a data folder of its own."""

    def __init__(self, data_dir: Path, process: subprocess.Popen[bytes], port: int) -> None:
        self.data_dir = data_dir
        self.process = process
        self.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_SECONDS)
        with contextlib.closing(connection):
            connection.request(method, quote(path, safe="/?=&%"), body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=_named(headers))

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        """Sends bytes as they are and anything else as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", path, raw, {"content-type": "application/json", **_named(headers)})

    def connect(self) -> socket.socket:
        """A bare connection, for what no HTTP library would send."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=_PATIENCE_SECONDS)

    def events(self) -> list[Any]:
        """Everything appended to the log since the last call."""
        from streaming.codec import decode  # noqa: PLC0415 most tests need no log
        from streaming.segments import open_segment_log  # noqa: PLC0415 as above
        from streaming.settings import StreamingSettings  # noqa: PLC0415 as above

        # A new reader each time: one that found nothing looks away for a moment, and a test must not wait.
        found: list[Any] = []
        with contextlib.closing(open_segment_log(StreamingSettings(data_dir=self.data_dir)).reader("test")) as reader:
            while records := reader.poll(10_000, 0.0):
                found += [decode(record.value) for record in records]
                reader.commit({record.partition: record.offset + 1 for record in records})
        return found

    def publish(self, name: str, generation: int, **versions: str) -> None:
        """Gives roles of a model to versions."""
        publish(self.data_dir, name, generation, **versions)

    @property
    def said(self) -> str:
        """The process's own log."""
        return (self.data_dir / "api.log").read_text()

    def stop(self) -> int:
        """Ends it as an operator would; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_PATIENCE_SECONDS)


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def publish(data_dir: Path, name: str, generation: int, **versions: str) -> None:
    from serving.bundle import RoleEntry, RoleTable, publish_role_table  # noqa: PLC0415 only tests of HTTP need it

    roles = {role: RoleEntry(version, f"{version}-abc") for role, version in versions.items()}
    table = RoleTable(model_name=name, generation=generation, published_at=datetime.now(UTC), roles=roles)
    publish_role_table(data_dir / "bundles" / name, table)


@pytest.fixture(scope="session")
def api_bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled bundles of `iris` (versions 1, 2; 3 needs a colour), `trips` (mixed types) and `price` (a regressor)."""
    folder = tmp_path_factory.mktemp("compiled")
    made = subprocess.run([sys.executable, _MAKE_BUNDLES, folder], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="session")
def start_api(api_bundles: Path) -> Iterator[Callable[..., Api]]:
    """`start_api(MODELS="iris", …)` starts a worker with production iris 1; `prepare(data_dir)` runs before."""
    with contextlib.ExitStack() as stack:

        def start(prepare: Callable[[Path], object] | None = None, workers: int | None = None, **settings: str) -> Api:
            data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="understudy-api-")))
            shutil.copytree(api_bundles, data_dir / "bundles", ignore=shutil.ignore_patterns("source"))
            for name in ("iris", "trips", "price"):
                publish(data_dir, name, 1, production="1")
            if prepare is not None:
                prepare(data_dir)
            return _start(stack, data_dir, workers, {"MODELS": "iris,trips,price", **settings})

        yield start


def _start(stack: contextlib.ExitStack, data_dir: Path, workers: int | None, settings: Mapping[str, str]) -> Api:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    port = listener.getsockname()[1]
    environment |= {"DATA_DIR": str(data_dir), "RELOAD_SECONDS": "0.05", **settings}
    arguments: list[str] = []
    if workers is None:
        environment["UNDERSTUDY_API_FD"] = str(listener.fileno())
    else:
        listener.close()
        environment["API_PORT"] = str(port)
        arguments = ["--workers", str(workers)]
    with (data_dir / "api.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "understudy", "run", "api", *arguments],
            env=environment,
            stdout=log,
            stderr=log,
            pass_fds=() if workers else (listener.fileno(),),
        )
    listener.close()
    stack.callback(_end, process)
    api = Api(data_dir, process, port)
    _wait_until_alive(api)
    return api


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_alive(api: Api) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if api.get("/health").status == 200:
                return
        assert api.process.poll() is None, api.said
        assert time.monotonic() < deadline, api.said
        time.sleep(0.02)


@pytest.fixture
def until() -> Callable[..., None]:
    """Waits for something another process does, and fails when it does not happen."""

    def wait(condition: Callable[[], object], seconds: float = _PATIENCE_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.01)

    return wait
