"""One keep-alive connection to the prediction API."""

import http.client
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, urlsplit

from modeling.errors import RequestError, SendError


@dataclass(frozen=True)
class Address:
    """Where the API is and who calls.

    Attributes:
        url: Such as `http://127.0.0.1:8000`.
        api_key: Sent as a bearer token; None where the API is open.
        timeout_seconds: Per call, connecting included.
    """

    url: str
    api_key: str | None = None
    timeout_seconds: float = 5.0

    @property
    def parts(self) -> SplitResult:
        """The URL taken apart. Raises RequestError when it is none."""
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise RequestError(f"{self.url!r} is not an address: write it like http://127.0.0.1:8000")
        return parts


@dataclass(frozen=True)
class Reply:
    """Status, headers (names in lower case) and body of an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ApiConnection:
    """Not thread-safe: one per thread. Connects when first used and again after a failure."""

    def __init__(self, address: Address) -> None:
        parts = address.parts
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        assert parts.hostname
        self._connection = kind(parts.hostname, parts.port, timeout=address.timeout_seconds)
        self._prefix = parts.path.rstrip("/")
        self._headers = {"content-type": "application/json"}
        if address.api_key:
            self._headers["authorization"] = f"Bearer {address.api_key}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, path: str) -> Reply:
        """Raises SendError, TimeoutError."""
        return self._call("GET", path, None, {})

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
        """Sends JSON. Raises SendError when there is no answer, TimeoutError when it takes too long."""
        return self._call("POST", path, body, headers or {})

    def _call(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        kept = self._connection.sock is not None
        try:
            return self._exchange(method, path, body, headers)
        except TimeoutError:
            self._connection.close()
            raise
        except (http.client.HTTPException, OSError) as error:
            self._connection.close()
            if not (kept and isinstance(error, http.client.RemoteDisconnected | ConnectionError)):
                raise SendError(_reason(error)) from error
        # The server closed a connection that had idled: the call never reached it. A new one is no kept one.
        return self._call(method, path, body, headers)

    def _exchange(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        self._connection.request(method, self._prefix + path, body, {**self._headers, **headers})
        answer = self._connection.getresponse()
        content = answer.read()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection_refused"
    if isinstance(error, socket.gaierror):
        return "unknown_host"
    return "connection_lost" if isinstance(error, ConnectionError) else type(error).__name__
