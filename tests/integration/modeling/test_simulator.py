"""The simulated caller against a real HTTP server."""

import json
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from modeling.api_client import Address
from modeling.errors import RequestError, SendError
from modeling.simulator import Plan, Report, simulate
from modeling.stream import SimulatedRow

START = datetime(2013, 1, 1, tzinfo=UTC)


class _Api(ThreadingHTTPServer):
    """Answers like the API, and remembers what it was asked."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.predictions: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.labels: list[dict[str, Any]] = []
        self.order: list[str] = []
        self.status = 200
        self.ready_status = 200
        self.delay_seconds = 0.0
        self.close_after_answer = False
        self.lock = threading.Lock()

    @property
    def address(self) -> Address:
        return Address(f"http://127.0.0.1:{self.server_port}", timeout_seconds=2.0)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that timed out is expected here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet per answer: two would wait for an acknowledgement in between
    server: _Api

    def do_GET(self) -> None:
        self._answer(self.server.ready_status, {"detail": "no production model yet"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/feedback":
            with self.server.lock:
                self.server.labels += body
                self.server.order += [f"label {label['event_id']}" for label in body]
            self._answer(self.server.status, {})
            return
        time.sleep(self.server.delay_seconds)
        with self.server.lock:
            event_id = f"e{body['x']}"
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.server.predictions.append((self.path, headers, body))
            self.server.order.append(f"row {event_id}")
        self._answer(self.server.status, {"prediction": [0]}, event_id)
        if self.server.close_after_answer:
            self.close_connection = True

    def _answer(self, status: int, document: object, event_id: str | None = None) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        if event_id and status == 200:
            self.send_header("x-event-id", event_id)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- as inherited
        """Silent."""


@pytest.fixture
def api() -> Iterator[_Api]:
    server = _Api()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def _rows(count: int, *, known_after: timedelta | None = timedelta(hours=3)) -> list[SimulatedRow]:
    """One row an hour."""
    times = [START + timedelta(hours=number) for number in range(count)]
    return [
        SimulatedRow({"x": number, "missing": None}, number % 2, at, None if known_after is None else at + known_after)
        for number, at in enumerate(times)
    ]


FAST = Plan(rate_per_second=400.0, connections=4)


def test_every_row_is_sent_and_its_label_follows(api: _Api) -> None:
    report = simulate(_rows(60), api.address, FAST)
    assert report.ok
    assert (report.sent, report.statuses[200], report.labels_recorded) == (60, 60, 60)
    assert sorted(body["x"] for _, _, body in api.predictions) == list(range(60))
    assert {label["event_id"]: label["label"] for label in api.labels} == {f"e{x}": x % 2 for x in range(60)}
    assert all(body["missing"] is None for _, _, body in api.predictions)


def test_a_label_is_never_sent_before_the_simulated_clock_knows_it(api: _Api) -> None:
    plan = Plan(rate_per_second=100.0, connections=1)
    simulate(_rows(220, known_after=timedelta(hours=100)), api.address, plan)
    first_label = api.order.index("label e0")
    assert api.order.index("row e100") < first_label < api.order.index("row e219")


def test_labels_still_unknown_at_the_end_can_be_kept_back(api: _Api) -> None:
    plan = Plan(rate_per_second=400.0, drain=False)
    report = simulate(_rows(20, known_after=timedelta(hours=10)), api.address, plan)
    assert report.labels_recorded == 10
    assert {label["event_id"] for label in api.labels} == {f"e{x}" for x in range(10)}


def test_labels_can_be_left_out(api: _Api) -> None:
    assert simulate(_rows(5), api.address, Plan(rate_per_second=400.0, labels=False)).labels_recorded == 0
    assert api.labels == []


def test_event_times_are_sent_only_when_asked_for(api: _Api) -> None:
    simulate(_rows(1), api.address, FAST)
    assert "x-event-time" not in api.predictions[0][1]
    assert "labelled_at" not in api.labels[0]
    api.predictions.clear()
    api.labels.clear()
    simulate(_rows(1), api.address, Plan(rate_per_second=400.0, event_times=True))
    assert api.predictions[0][1]["x-event-time"] == "2013-01-01T00:00:00+00:00"
    assert api.labels[0]["labelled_at"] == "2013-01-01T03:00:00Z"


def test_a_named_model_and_a_key_go_with_every_call(api: _Api) -> None:
    address = Address(api.address.url, api_key="us_secret")
    simulate(_rows(1), address, Plan(rate_per_second=400.0, model_name="my model"))
    path, headers, _ = api.predictions[0]
    assert path == "/predict/my%20model"
    assert headers["authorization"] == "Bearer us_secret"
    assert api.labels[0]["model_name"] == "my model"


def test_rejections_are_counted_and_the_first_one_kept(api: _Api) -> None:
    api.status = 422
    report = simulate(_rows(4), api.address, FAST)
    assert report.statuses == {422: 4}
    assert not report.ok
    assert report.first_rejection == '{"prediction": [0]}'
    assert report.labels_recorded == 0


def test_a_slow_api_shows_as_response_time_since_the_row_was_due(api: _Api) -> None:
    api.delay_seconds = 0.1
    report = simulate(_rows(10), api.address, Plan(rate_per_second=100.0, connections=1))
    slowest = report.quantile_seconds(1.0)
    assert slowest is not None
    assert slowest > 0.7  # the last row was due after 0.09 s and answered after 1 s


def test_timeouts_are_counted_and_the_others_go_on(api: _Api) -> None:
    api.delay_seconds = 0.5
    report = simulate(_rows(3), Address(api.address.url, timeout_seconds=0.1), FAST)
    assert report.failures == {"timeout": 3}
    assert report.sent == 3


def test_a_kept_connection_that_the_server_closed_is_opened_again(api: _Api) -> None:
    api.close_after_answer = True
    report = simulate(_rows(10), api.address, Plan(rate_per_second=200.0, connections=1))
    assert report.statuses == {200: 10}
    assert not report.failures


def test_rows_are_due_at_the_rate(api: _Api) -> None:
    began = time.monotonic()
    simulate(_rows(31, known_after=None), api.address, Plan(rate_per_second=60.0))
    assert time.monotonic() - began >= 0.5


def test_stopping_ends_it_early(api: _Api) -> None:
    stop = threading.Event()

    def stop_when_some_are_sent(report: Report) -> None:
        if report.sent >= 5:
            stop.set()

    report = simulate(_rows(100_000), api.address, Plan(20.0), stop=stop, on_progress=stop_when_some_are_sent)
    assert 5 <= report.sent < 100


def test_an_api_that_is_not_ready_is_said_before_a_row_is_sent(api: _Api) -> None:
    api.ready_status = 503
    with pytest.raises(SendError, match=r"not ready: .*no production model yet"):
        simulate(_rows(1), api.address)
    assert api.predictions == []


def test_nobody_there_is_said_with_what_to_do() -> None:
    with pytest.raises(SendError, match=r"nothing answers at http://127\.0\.0\.1:9 \(connection_refused\): start it"):
        simulate(_rows(1), Address("http://127.0.0.1:9"))


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://localhost", "", "http://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(RequestError, match="is not an address"):
        simulate(_rows(1), Address(url))


def test_rows_that_fail_are_the_callers_to_know(api: _Api) -> None:
    def rows() -> Iterable[SimulatedRow]:
        yield from _rows(3)
        raise RuntimeError("the file ended")

    with pytest.raises(RuntimeError, match="the file ended"):
        simulate(rows(), api.address, FAST)
