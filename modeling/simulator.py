"""A caller that sends a dataset's rows at a steady rate and the truth about them as it becomes known.

Open loop: a row is due at its time whether or not the API keeps up, and its response time counts from then
on. Rows without event time are labelled at once. The simulated clock is the event time of the last row sent:
a label goes out when that clock has passed the moment it became known.
"""

import heapq
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np

from modeling.api_client import Address, ApiConnection
from modeling.errors import SendError
from modeling.stream import Label, SimulatedRow

_LABELS_PER_CALL = 200
_LABEL_PAUSE_SECONDS = 0.5
_START = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Plan:
    """How to send.

    Attributes:
        rate_per_second: Rows due per second.
        connections: Threads sending, each with one connection; what the API is slower at than this waits.
        model_name: None: the API's first model.
        event_times: Whether to send each row's own event time; needs a key with the scope `simulate`.
        labels: Whether to send the truth to /feedback.
        drain: Whether to send labels still unknown when the rows end.
    """

    rate_per_second: float = 20.0
    connections: int = 8
    model_name: str | None = None
    event_times: bool = False
    labels: bool = True
    drain: bool = True


@dataclass
class Report:
    """What happened; read it while it runs for progress.

    Attributes:
        sent: Calls to /predict that ended, one way or another.
        statuses: HTTP status to how many calls had it.
        failures: Calls without an answer, by reason: `timeout`, `connection_refused`, `connection_lost`, …
        labels_recorded: Labels the API took.
        label_failures: Labels it did not take, by status or reason.
        first_rejection: Body of the first answer that was not 200, to show.
    """

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    labels_recorded: int = 0
    label_failures: Counter[str] = field(default_factory=Counter)
    first_rejection: str | None = None
    response_seconds: list[float] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every row was answered and every label taken."""
        return self.statuses[200] == self.sent and not self.label_failures

    def quantile_seconds(self, share: float) -> float | None:
        """Response time, counted from when the row was due, that `share` of the answered calls kept."""
        return float(np.quantile(self.response_seconds, share)) if self.response_seconds else None


def simulate(
    rows: Iterable[SimulatedRow],
    address: Address,
    plan: Plan | None = None,
    *,
    stop: threading.Event | None = None,
    on_progress: Callable[[Report], None] = lambda _report: None,
) -> Report:
    """Sends all rows, then the labels; returns early when `stop` is set.

    Blocks. `on_progress` is called in this thread, twice a second.

    Raises:
        SendError: Nothing answers at the address, or it is not ready; said before a row is sent.
    """
    plan = plan or Plan()
    _require_ready(address)
    run = _Simulation(rows, address, plan, stop or threading.Event())
    senders = [threading.Thread(target=run.send_rows, daemon=True) for _ in range(plan.connections)]
    for sender in senders:
        sender.start()
    with ApiConnection(address) as connection:
        while any(sender.is_alive() for sender in senders):
            run.send_known_labels(connection)
            on_progress(run.report)
            _wait(senders, _LABEL_PAUSE_SECONDS)
        run.end_rows()
        run.send_known_labels(connection)
    on_progress(run.report)
    run.raise_failure()
    return run.report


def _require_ready(address: Address) -> None:
    try:
        with ApiConnection(address) as connection:
            reply = connection.get("/ready")
    except (SendError, TimeoutError) as error:
        raise SendError(f"nothing answers at {address.url} ({error}): start it with `understudy up`") from error
    if reply.status != 200:
        raise SendError(f"{address.url} is not ready: {reply.body.decode(errors='replace')[:500]}")


def _wait(senders: Sequence[threading.Thread], seconds: float) -> None:
    until = time.monotonic() + seconds
    for sender in senders:
        sender.join(max(until - time.monotonic(), 0.0))


class _Simulation:
    """What the sending threads share."""

    def __init__(self, rows: Iterable[SimulatedRow], address: Address, plan: Plan, stop: threading.Event) -> None:
        self.report = Report()
        self._address = address
        self._plan = plan
        self._stop = stop
        self._lock = threading.Lock()
        self._rows: Iterator[tuple[int, SimulatedRow]] = enumerate(rows)
        self._path = "/predict" + (f"/{quote(plan.model_name, safe='')}" if plan.model_name else "")
        self._began = time.monotonic()
        self._clock = _START
        self._unknown: list[tuple[datetime, int, dict[str, Any]]] = []
        self._ticket = itertools.count()
        self._failure: BaseException | None = None

    def send_rows(self) -> None:
        """One thread's work."""
        try:
            with ApiConnection(self._address) as connection:
                self._send_until_done(connection)
        except Exception as error:  # noqa: BLE001 -- the thread's outermost guard: told to the caller of `simulate`
            self._failure = error
            self._stop.set()

    def send_known_labels(self, connection: ApiConnection) -> None:
        """Sends what the simulated clock has passed, in calls of at most 200 labels."""
        while batch := self._known():
            self._send_labels(connection, batch)

    def end_rows(self) -> None:
        """No row comes any more: time passes until everything is known, unless somebody wants to stop."""
        if self._plan.drain and not self._stop.is_set():
            self._clock = datetime.max.replace(tzinfo=UTC)

    def raise_failure(self) -> None:
        """Raises what ended a sending thread, if anything did (the rows' own iterator may fail)."""
        if self._failure is not None:
            raise self._failure

    def _send_until_done(self, connection: ApiConnection) -> None:
        """Takes the next row, waits until it is due, sends it."""
        while (taken := self._take()) is not None:
            due = self._began + taken[0] / self._plan.rate_per_second
            if self._stop.wait(max(due - time.monotonic(), 0.0)):
                return
            self._send(connection, taken[1], due)

    def _take(self) -> tuple[int, SimulatedRow] | None:
        with self._lock:
            return None if self._stop.is_set() else next(self._rows, None)

    def _send(self, connection: ApiConnection, row: SimulatedRow, due: float) -> None:
        headers = {}
        if self._plan.event_times and row.event_time is not None:
            headers["x-event-time"] = row.event_time.isoformat()
        reason, event_id, status, body = None, None, 0, b""
        try:
            reply = connection.post(self._path, msgspec.json.encode(row.features), headers)
            status, body, event_id = reply.status, reply.body, reply.headers.get("x-event-id")
        except TimeoutError:
            reason = "timeout"
        except SendError as error:
            reason = str(error)
        seconds = time.monotonic() - due
        with self._lock:
            self._count(status, reason, body, seconds)
            if row.event_time is not None:
                self._clock = max(self._clock, row.event_time)
            if status == 200 and event_id and self._plan.labels:
                self._owe_label(row, event_id)

    def _count(self, status: int, reason: str | None, body: bytes, seconds: float) -> None:
        self.report.sent += 1
        if reason is not None:
            self.report.failures[reason] += 1
            return
        self.report.statuses[status] += 1
        self.report.response_seconds.append(seconds)
        if status != 200 and self.report.first_rejection is None:
            self.report.first_rejection = body.decode(errors="replace")[:500]

    def _owe_label(self, row: SimulatedRow, event_id: str) -> None:
        label: dict[str, Label | datetime] = {"event_id": event_id, "label": row.label}
        if self._plan.model_name:
            label["model_name"] = self._plan.model_name
        if self._plan.event_times and row.label_known_at is not None:
            label["labelled_at"] = row.label_known_at
        heapq.heappush(self._unknown, (row.label_known_at or _START, next(self._ticket), label))

    def _known(self) -> list[dict[str, Any]]:
        with self._lock:
            batch: list[dict[str, Any]] = []
            while self._unknown and self._unknown[0][0] <= self._clock and len(batch) < _LABELS_PER_CALL:
                batch.append(heapq.heappop(self._unknown)[2])
            return batch

    def _send_labels(self, connection: ApiConnection, batch: list[dict[str, Any]]) -> None:
        headers = {"x-event-time": datetime.now(UTC).isoformat()} if self._plan.event_times else {}
        try:
            reply = connection.post("/feedback", msgspec.json.encode(batch), headers)
        except TimeoutError:
            self.report.label_failures["timeout"] += len(batch)
        except SendError as error:
            self.report.label_failures[str(error)] += len(batch)
        else:
            if reply.status == 200:
                self.report.labels_recorded += len(batch)
            else:
                self.report.label_failures[str(reply.status)] += len(batch)
