"""Models in S3, by the real boto3, against a server on this machine that speaks as much S3 as fetching needs."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from versioning.artifacts import fetch_model
from versioning.errors import ArtifactError, NotFoundError, RegistryUnavailableError
from versioning.memory import MemoryRegistry
from versioning.settings import VersioningSettings

MLMODEL = b"flavors: {sklearn: {serialization_format: skops, pickled_model: model.skops}}"


class Bucket(ThreadingHTTPServer):
    """Objects by key, listed two a page; `status` other than 200 answers everything with that."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.objects: dict[str, bytes] = {}
        self.status = 200


class _Answer(BaseHTTPRequestHandler):
    server: Bucket

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        key = unquote(parts.path).removeprefix("/models").lstrip("/")
        if self.server.status != 200:
            self._send(self.server.status, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
        elif not key:
            self._send(200, _listing(self.server.objects, parse_qs(parts.query)))
        elif key in self.server.objects:
            self._send(200, self.server.objects[key])
        else:
            self._send(404, b"<Error><Code>NoSuchKey</Code></Error>")

    do_HEAD = do_GET  # noqa: N815 - the name is http.server's

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("etag", '"1"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        pass


def _listing(objects: dict[str, bytes], query: dict[str, list[str]]) -> bytes:
    keys = sorted(key for key in objects if key.startswith(query["prefix"][0]))
    start = int(query.get("continuation-token", ["0"])[0])
    page = keys[start : start + 2]
    more = start + 2 < len(keys)
    items = "".join(f"<Contents><Key>{escape(key)}</Key><Size>{len(objects[key])}</Size></Contents>" for key in page)
    token = f"<NextContinuationToken>{start + 2}</NextContinuationToken>" if more else ""
    flag = "true" if more else "false"
    return f"<ListBucketResult><IsTruncated>{flag}</IsTruncated>{token}{items}</ListBucketResult>".encode()


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with Bucket() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def settings(bucket: Bucket, tmp_path: Path) -> VersioningSettings:
    return settings_for(f"http://127.0.0.1:{bucket.server_port}", tmp_path)


def settings_for(endpoint: str, tmp_path: Path, **more: Any) -> VersioningSettings:
    return VersioningSettings(
        data_dir=tmp_path / "var",
        mlflow_tracking_uri="http://registry.invalid",
        mlflow_s3_endpoint_url=endpoint,
        aws_access_key_id="key",
        aws_secret_access_key="hush",
        aws_default_region="us-east-1",
        registry_timeout_seconds=1,
        **more,
    )


def fetch(settings: VersioningSettings, into: Path) -> Path:
    return fetch_model(MemoryRegistry().register("churn", "s3://models/a/churn"), settings, into).folder


def test_all_objects_under_the_prefix_are_fetched(bucket: Bucket, settings: VersioningSettings, tmp_path: Path) -> None:
    bucket.objects = {
        "a/churn/MLmodel": MLMODEL,
        "a/churn/model.skops": b"x" * 1000,
        "a/churn/code/deep/one.py": b"pass",
        "a/churn/with blank ä": b"",
        "a/churn-2/MLmodel": b"another model",
    }

    folder = fetch(settings, tmp_path / "into")

    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {
        "MLmodel": MLMODEL,
        "model.skops": b"x" * 1000,
        "code/deep/one.py": b"pass",
        "with blank ä": b"",
    }


def test_an_empty_prefix_is_not_found(settings: VersioningSettings, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="s3://models/a/churn"):
        fetch(settings, tmp_path / "into")


def test_a_model_over_the_limit_is_not_downloaded(bucket: Bucket, tmp_path: Path) -> None:
    bucket.objects = {"a/churn/MLmodel": MLMODEL, "a/churn/model.skops": b"x" * 1000}
    small = settings_for(f"http://127.0.0.1:{bucket.server_port}", tmp_path, artifact_max_bytes=1000)

    with pytest.raises(ArtifactError, match="ARTIFACT_MAX_BYTES=1000"):
        fetch(small, tmp_path / "into")

    assert not (tmp_path / "into").exists()


def test_a_key_that_leads_out_is_refused(bucket: Bucket, settings: VersioningSettings, tmp_path: Path) -> None:
    bucket.objects = {"a/churn/MLmodel": MLMODEL, "a/churn/../../../out": b"out"}

    with pytest.raises(ArtifactError, match="leads out"):
        fetch(settings, tmp_path / "into")

    assert sorted(path.name for path in tmp_path.rglob("out")) == []


def test_a_refusal_names_the_settings_and_not_the_secret(
    bucket: Bucket, settings: VersioningSettings, tmp_path: Path
) -> None:
    bucket.status = 403

    with pytest.raises(RegistryUnavailableError, match=r"AccessDenied.*AWS_ACCESS_KEY_ID") as refused:
        fetch(settings, tmp_path / "into")

    assert "hush" not in str(refused.value)


def test_a_closed_port_is_unavailable(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = settings_for(f"http://127.0.0.1:{taken.getsockname()[1]}", tmp_path)

        with pytest.raises(RegistryUnavailableError, match="MLFLOW_S3_ENDPOINT_URL"):
            fetch(closed, tmp_path / "into")

    assert [path.name for path in tmp_path.iterdir()] == []
