"""HTTP as careless, slow and hostile clients speak it, byte by byte."""

import json
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest


class Wire:
    """A bare connection that reads one answer at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = b""

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.connection.sendall(part)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = self._until(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
        return int(lines[0].split()[1]), headers, self._take(int(headers.get("content-length", 0)))

    def ended(self) -> bool:
        """Whether the server has closed, having sent nothing more."""
        return not self.received and self.connection.recv(1) == b""

    def _until(self, mark: bytes) -> bytes:
        while mark not in self.received:
            self._more()
        return self._take(self.received.index(mark) + len(mark))

    def _take(self, size: int) -> bytes:
        while len(self.received) < size:
            self._more()
        taken, self.received = self.received[:size], self.received[size:]
        return taken

    def _more(self) -> None:
        chunk = self.connection.recv(65536)
        assert chunk, f"closed after {self.received!r}"
        self.received += chunk


@pytest.fixture
def wire(api: Any) -> Any:
    with api.connect() as connection:
        yield Wire(connection)


def request(body: Any, path: str = "/predict", *, version: str = "1.1", **headers: str) -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"host": "x", "content-type": "application/json", "content-length": str(len(raw)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items() if value)
    return f"POST {path} HTTP/{version}\r\n{lines}\r\n".encode() + raw


def chunked(body: Any, sizes: int) -> bytes:
    raw = json.dumps(body).encode()
    parts = [raw[index : index + sizes] for index in range(0, len(raw), sizes)]
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def test_one_connection_serves_many_requests_also_after_errors(api: Any, wire: Wire, iris: Any) -> None:
    for _ in range(3):
        for body, status in ((iris, 200), ({"x": 1}, 422), (b"{", 400), (iris, 200)):
            wire.send(request(body))
            assert wire.answer()[0] == status
        wire.send(request(iris, "/predict/nobody"), request(iris, "/nowhere"), request(iris))
        assert [wire.answer()[0] for _ in range(3)] == [404, 404, 200]

    assert len(api.events()) == 9


def test_pipelined_requests_are_answered_in_order_fast_and_ordinary_mixed(api: Any, wire: Wire, iris: Any) -> None:
    paths = ["/predict", "/predict/iris", "/invocations", "/predict?version=1", "/predict/nobody", "/predict"] * 5
    wire.send(b"".join(request(iris, path, x_request_id=f"r-{number}") for number, path in enumerate(paths)))

    answers = [wire.answer() for _ in paths]

    assert [headers["x-request-id"] for _, headers, _ in answers] == [f"r-{number}" for number in range(len(paths))]
    assert [status for status, _, _ in answers] == [200, 200, 200, 200, 404, 200] * 5
    assert [event.request_id for event in api.events()] == [
        f"r-{number}" for number, path in enumerate(paths) if path != "/predict/nobody"
    ]


def test_a_caller_may_wait_for_100_continue(api: Any, wire: Wire, iris: Any) -> None:
    head, _, body = request(iris, expect="100-continue").partition(b"\r\n\r\n")
    wire.send(head + b"\r\n\r\n")
    assert wire.answer()[0] == 100
    wire.send(body)

    assert wire.answer()[0] == 200
    assert len(api.events()) == 1


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_chunked_body_is_put_together(api: Any, wire: Wire, iris: Any, size: int) -> None:
    wire.send(chunked(iris, size), request(iris))

    assert [wire.answer()[0] for _ in range(2)] == [200, 200]
    assert [event.features for event in api.events()] == [iris, iris]


def test_a_request_may_arrive_byte_by_byte(api: Any, wire: Wire, iris: Any) -> None:
    wire.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wire.send(*(bytes([byte]) for byte in request(iris)))

    assert wire.answer()[0] == 200
    assert [event.features for event in api.events()] == [iris]


def test_http_1_0_is_answered_and_closed(api: Any, wire: Wire, iris: Any) -> None:
    wire.send(request(iris, version="1.0"))

    status, _, body = wire.answer()
    assert (status, json.loads(body)["prediction"]) == (200, [0])
    assert wire.ended()


def test_connection_close_is_kept(api: Any, wire: Wire, iris: Any) -> None:
    wire.send(request(iris, connection="close"))

    status, headers, _ = wire.answer()
    assert (status, headers["connection"]) == (200, "close")
    assert wire.ended()


def test_a_caller_that_half_closes_is_refused_nothing_it_had_asked(api: Any, iris: Any) -> None:
    with api.connect() as connection:
        connection.sendall(request(iris)[:-5])
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""

    assert api.events() == []


def test_callers_that_leave_harm_nobody(api: Any, iris: Any, until: Callable[..., None]) -> None:
    whole = request([iris] * 40, x_request_id="left")
    for cut in (1, 30, len(whole) // 2, len(whole) - 1, len(whole)):
        with api.connect() as connection:
            connection.sendall(whole[:cut])

    with api.connect() as connection:
        wire = Wire(connection)
        wire.send(request(iris, x_request_id="stayed"))
        assert wire.answer()[0] == 200
    found: list[str] = []

    def recorded() -> bool:
        found.extend(event.request_id for event in api.events())
        return found.count("left") == 40 and found.count("stayed") == 1

    until(recorded)
    assert set(found) == {"left", "stayed"}


@pytest.mark.parametrize("length", [300_000, 5_000_000])
@pytest.mark.parametrize("way", ["content-length", "chunked"])
def test_the_answer_to_too_large_a_body_reaches_its_caller(api: Any, iris: Any, length: int, way: str) -> None:
    body = json.dumps("a" * length).encode()
    if way == "chunked":
        head = b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        whole = head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    else:
        whole = request(body)
    with api.connect() as connection:
        wire = Wire(connection)
        wire.send(whole)  # as a client does that looks for an answer only at the end
        status, _, said = wire.answer()

        assert status == 413
        assert "MAX_BODY_BYTES (100000)" in json.loads(said)["detail"]
        wire.send(request(iris))
        assert wire.answer()[0] == 200
    assert [event.features for event in api.events()] == [iris]


@pytest.mark.parametrize(
    "path", ["/predict/%69ris", "/predict/iris?", "/predict/iris?version=1", "/predict/iris?role=production"]
)
def test_other_ways_to_write_an_address_mean_the_same(api: Any, wire: Wire, iris: Any, path: str) -> None:
    wire.send(request(iris, path))

    status, headers, _ = wire.answer()
    assert (status, headers["x-model-name"]) == (200, "iris")


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00\x01\x00", b"NONSENSE\r\n\r\n", b"GET  HTTP/1.1\r\n\r\n"])
def test_what_is_no_http_is_refused_and_closed(api: Any, wire: Wire, junk: bytes) -> None:
    wire.send(junk)

    status, _, _ = wire.answer()
    assert status == 400
    assert wire.ended()
    assert api.get("/health").status == 200


def test_conflicting_lengths_are_refused(api: Any, wire: Wire, iris: Any) -> None:
    wire.send(request(iris, transfer_encoding="chunked"))

    assert wire.answer()[0] == 400
    assert wire.ended()
    assert api.events() == []


def test_headers_cannot_be_smuggled_into_an_answer(api: Any, wire: Wire, iris: Any) -> None:
    wire.send(request(iris, x_request_id="a\x0b\x7fb", x_event="1"))

    status, headers, _ = wire.answer()
    assert status in {200, 400}
    assert re.fullmatch(r"[ -~]*", headers.get("x-request-id", ""))
