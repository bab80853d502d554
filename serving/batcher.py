"""All calls of one event-loop tick are one matrix, one append and one metrics update.

A call is answered only after its events are in the log. A model that is quick (measured) runs right in the
event loop; a slow one runs in a thread, and what arrives meanwhile is its next batch. A cancelled caller's
rows stay in the batch and in the log: nobody else notices.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from math import inf
from time import perf_counter

import msgspec

from serving import metrics
from serving.catalog import ServedModel
from serving.errors import EngineError, NotRecordedError, ServingError, TooLargeError
from serving.recording import Call, Moment, answered_events, failed_events
from serving.rows import Answers
from streaming.errors import LogUnavailableError
from streaming.ids import new_event_ids
from streaming.log import EventWriter

_log = logging.getLogger("understudy.serving")

_LOG_FAILURE_SECONDS = 5.0

Outcome = Answers | ServingError
Tell = Callable[[Call, Outcome], None]
Waiting = tuple[Call, Tell]


class _Recorded(msgspec.Struct):
    """A batch the model has answered: what to append, and what to tell each caller then."""

    served: ServedModel
    groups: list[Sequence[bytes]]
    replies: list[tuple[Call, Tell, Outcome]]
    done_at: float


class TickBatcher:
    """Belongs to one event loop. `submit` from it only.

    Args:
        max_event_bytes: A call with a larger event is refused, alone.
        max_rows: Most rows of several calls put together; a single call is never split.
    """

    def __init__(self, writer: EventWriter, *, max_event_bytes: int, max_rows: int = 1_024) -> None:
        self._writer = writer
        self._max_event_bytes = max_event_bytes
        self._max_rows = max_rows
        self._waiting: dict[ServedModel, list[Waiting]] = {}
        self._busy: dict[ServedModel, asyncio.Task[None]] = {}
        self._flush_due = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._log_failure = (-inf, "")
        self._log_thread = ThreadPoolExecutor(1, thread_name_prefix="log")

    def submit(self, call: Call, tell: Tell) -> None:
        """Queues a call for the end of this tick.

        `tell` is called once, on this event loop, with the call's own answers when its events are recorded, or
        with what the caller is told instead.
        """
        waiting = self._waiting.get(call.served)
        if waiting is not None:
            waiting.append((call, tell))
            return
        self._waiting[call.served] = [(call, tell)]
        if not self._flush_due:
            self._flush_due = True
            self._loop = self._loop or asyncio.get_running_loop()
            self._loop.call_soon(self._flush)

    async def append(self, groups: Sequence[Sequence[bytes]]) -> None:
        """Appends to the log without holding up the event loop, after everything handed over before.

        Raises:
            LogUnavailableError: Nothing was appended.
        """
        if self._writer.blocks:
            await asyncio.get_running_loop().run_in_executor(self._log_thread, self._writer.append, groups)
        else:
            self._writer.append(groups)

    async def close(self) -> None:
        """Waits until everything submitted is answered."""
        while self._waiting or self._busy:
            await asyncio.sleep(0)
            await asyncio.gather(*self._busy.values())
        self._log_thread.shutdown()

    def _flush(self) -> None:
        self._flush_due = False
        for served in list(self._waiting):
            if served.engine.inline and not self._writer.blocks:
                self._answer_here(served)
            elif served not in self._busy:
                task = asyncio.get_running_loop().create_task(self._answer_in_threads(served))
                self._busy[served] = task

    def _answer_here(self, served: ServedModel) -> None:
        for batch in _batches(self._waiting.pop(served), self._max_rows):
            try:
                recorded = self._record(served, batch, _predict(served, batch))
                self._writer.append(recorded.groups)
            except LogUnavailableError as error:
                self._not_recorded(batch, error)
            except Exception:  # noqa: BLE001 the guard of this loop: no caller may wait for ever
                _crashed(batch)
            else:
                _settle(recorded)

    async def _answer_in_threads(self, served: ServedModel) -> None:
        try:
            while served in self._waiting:
                for batch in _batches(self._waiting.pop(served), self._max_rows):
                    await self._answer_batch_in_threads(served, batch)
        finally:
            del self._busy[served]

    async def _answer_batch_in_threads(self, served: ServedModel, batch: Sequence[Waiting]) -> None:
        loop = asyncio.get_running_loop()
        try:
            outcomes = await loop.run_in_executor(None, _predict, served, batch)
            recorded = self._record(served, batch, outcomes)
            await self.append(recorded.groups)
        except LogUnavailableError as error:
            self._not_recorded(batch, error)
        except Exception:  # noqa: BLE001 the guard of this loop: no caller may wait for ever
            _crashed(batch)
        else:
            _settle(recorded)

    def _not_recorded(self, batch: Sequence[Waiting], error: LogUnavailableError) -> None:
        self._log_failure = (perf_counter(), str(error))
        _refuse(batch, NotRecordedError(f"not recorded: {error}", error.retry_after_seconds))

    def log_problem(self) -> str | None:
        """Why answers could not be recorded within the last seconds, None when they could or nobody asked."""
        failed_at, reason = self._log_failure
        return reason if perf_counter() - failed_at < _LOG_FAILURE_SECONDS else None

    def _record(self, served: ServedModel, batch: Sequence[Waiting], outcomes: Sequence[Outcome]) -> _Recorded:
        recorded = _Recorded(served, [], [], perf_counter())
        moment = Moment(datetime.now(UTC), recorded.done_at, sum(len(call.rows) for call, _ in batch))
        ids = iter(new_event_ids(moment.batch_rows))
        for (call, tell), outcome in zip(batch, outcomes, strict=True):
            call.event_ids = list(islice(ids, len(call.rows)))
            call.request_id = call.request_id or call.event_ids[0]
            if isinstance(outcome, Answers):
                events = answered_events(call, outcome, moment)
            else:
                events = failed_events(call, outcome.error_type, moment)
            if max(map(len, events)) <= self._max_event_bytes:
                recorded.groups.append(events)
                recorded.replies.append((call, tell, outcome))
            else:
                recorded.replies.append((call, tell, _too_large(events, self._max_event_bytes)))
        return recorded


def _batches(waiting: list[Waiting], max_rows: int) -> list[list[Waiting]]:
    if len(waiting) == 1:
        return [waiting]
    batches: list[list[Waiting]] = [[]]
    rows = 0
    for one in waiting:
        if batches[-1] and rows + len(one[0].rows) > max_rows:
            batches.append([])
            rows = 0
        batches[-1].append(one)
        rows += len(one[0].rows)
    return batches


def _predict(served: ServedModel, batch: Sequence[Waiting]) -> list[Outcome]:
    """Answers a batch in one call of the model; if that fails, each caller alone, so that the fault stays his."""
    try:
        rows = served.codec.rows([row for call, _ in batch for row in call.rows])
        return _parts(served.engine.predict(rows), batch)
    except EngineError as error:
        if len(batch) == 1:
            return [error]
        return [_predict(served, [one])[0] for one in batch]


def _parts(answers: Answers, batch: Sequence[Waiting]) -> list[Outcome]:
    if len(batch) == 1:
        return [answers]
    parts: list[Outcome] = []
    first = 0
    for call, _ in batch:
        last = first + len(call.rows)
        probabilities = None if answers.probabilities is None else answers.probabilities[first:last]
        parts.append(Answers(answers.predictions[first:last], probabilities))
        first = last
    return parts


def _settle(recorded: _Recorded) -> None:
    """Counts first, then answers: a scrape right after an answer has it."""
    _count(recorded)
    for call, tell, outcome in recorded.replies:
        _tell(call, tell, outcome)


def _tell(call: Call, tell: Tell, outcome: Outcome) -> None:
    try:
        tell(call, outcome)
    except Exception:  # noqa: BLE001 the guard of a loop over strangers: one caller's fault is not his neighbours'
        _log.exception("answer_not_given", extra={"request_id": call.request_id})
        metrics.crashed_batches_total.inc()


def _count(recorded: _Recorded) -> None:
    bundle = recorded.served.bundle
    by_role: dict[str, list[tuple[Call, Outcome]]] = {}
    for call, _, outcome in recorded.replies:
        if not isinstance(outcome, TooLargeError):
            by_role.setdefault(call.role, []).append((call, outcome))
    for role, calls in by_role.items():
        answered = sum([len(call.rows) for call, outcome in calls if isinstance(outcome, Answers)])
        failed = sum([len(call.rows) for call, _ in calls]) - answered
        figures = metrics.figures_of(bundle.model_name, bundle.model_version, role)
        figures.count(answered, failed, [recorded.done_at - call.started for call, _ in calls])


def _refuse(batch: Sequence[Waiting], error: ServingError) -> None:
    for call, tell in batch:
        _tell(call, tell, error)


def _crashed(batch: Sequence[Waiting]) -> None:
    _log.exception("batch_crashed", extra={"rows": sum(len(call.rows) for call, _ in batch)})
    metrics.crashed_batches_total.inc()
    _refuse(batch, ServingError("the server failed on this request; its log has the cause"))


def _too_large(events: Sequence[bytes], limit: int) -> TooLargeError:
    largest = max(map(len, events))
    return TooLargeError(f"a row becomes an event of {largest} bytes; MAX_EVENT_BYTES is {limit}: send shorter values")
