"""A registry that is away, mute, old or not one at all: always an error of ours, in time, that says what to do."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from versioning.connect import open_registry, open_tracking
from versioning.errors import RegistryUnavailableError
from versioning.settings import VersioningSettings

SECONDS = 2.0


def settings_for(address: str, folder: Path) -> VersioningSettings:
    return VersioningSettings(data_dir=folder, mlflow_tracking_uri=address, registry_timeout_seconds=SECONDS)


CALLS: list[Callable[[VersioningSettings], object]] = [
    lambda settings: open_registry(settings).models(),
    lambda settings: open_registry(settings).aliases("churn"),
    lambda settings: open_registry(settings).register("churn", "s3://models/churn"),
    lambda settings: open_tracking(settings).read_run("0" * 32),
    lambda settings: open_tracking(settings).resolve("models:/m-1"),
]


@pytest.fixture(scope="module", autouse=True)
def _mlflow_is_imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """So that the seconds it takes are not counted as the registry's."""
    open_registry(settings_for("http://127.0.0.1:1", tmp_path_factory.mktemp("import")))


@contextmanager
def server(status: int, body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the name is http.server's

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}"
        finally:
            httpd.shutdown()
            thread.join()


@pytest.mark.parametrize("call", CALLS)
def test_a_closed_port_is_unavailable_at_once(call: Callable[[VersioningSettings], object], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it, and it refuses
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(RegistryUnavailableError, match=f"{address} gave no answer.*refused"):
            call(settings_for(address, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS[::3])
def test_a_mute_server_is_unavailable_within_the_timeout(
    call: Callable[[VersioningSettings], object], tmp_path: Path
) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(20)
        settings = settings_for(f"http://me:hush@127.0.0.1:{mute.getsockname()[1]}", tmp_path)
        started = time.monotonic()

        with pytest.raises(RegistryUnavailableError, match="timed out") as refused:
            call(settings)

    assert time.monotonic() - started < SECONDS + 1
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("status", "body", "advice"),
    [
        (404, b"<html>nothing here", "not as an MLflow server does.*MLFLOW_TRACKING_URI"),
        (403, b"Invalid Host header - possible DNS rebinding attack detected", "MLFLOW_SERVER_ALLOWED_HOSTS"),
        (401, b"You are not authenticated.", "MLFLOW_TRACKING_USERNAME"),
        (503, b"later", "503"),
        (500, b"broken", "500"),
        (200, b"<html>a login page", "JSON"),
    ],
)
def test_a_server_that_does_not_help_is_named_with_advice(
    status: int, body: bytes, advice: str, tmp_path: Path
) -> None:
    with server(status, body) as address:
        for call in CALLS[:4]:
            with pytest.raises(RegistryUnavailableError, match=advice):
                call(settings_for(address, tmp_path))


def test_a_server_of_mlflow_2_is_called_too_old(tmp_path: Path) -> None:
    """It knows runs but has no route for logged models; its 404 comes from the web framework."""
    with server(404, b"<!doctype html><title>404 Not Found</title>") as address:
        settings = settings_for(address, tmp_path)

        with pytest.raises(RegistryUnavailableError, match=r"too old.*run MLflow 3"):
            open_tracking(settings).resolve("models:/m-1")


def test_a_store_of_no_known_kind_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(RegistryUnavailableError, match="unsupported URI"):
        open_registry(settings_for("ftp://somewhere", tmp_path))
