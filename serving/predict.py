"""The hot path: a body in, a recorded answer out. The fast path and FastAPI's routes both end here."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from serving.admission import Admission
from serving.batcher import Outcome, TickBatcher
from serving.catalog import Catalog, ServedModel
from serving.errors import ForbiddenError
from serving.key_file import Scope
from serving.protocol.predict_body import decode_predict
from serving.recording import Call
from serving.replies import Reply, answer_head, error_reply
from serving.request import Asked, event_time, require_json
from serving.rows import Answers
from serving.settings import ServingSettings
from streaming.events import Source

Answer = Callable[[Reply], None]


class Predictor:
    """One per worker, on its event loop."""

    def __init__(self, catalog: Catalog, batcher: TickBatcher, admission: Admission, settings: ServingSettings) -> None:
        self.catalog = catalog
        self.admission = admission
        self._batcher = batcher
        self._max_rows = settings.max_batch_rows
        self._max_depth = settings.max_json_depth
        self._records_raw = settings.extra_fields == "refuse"

    def predict(self, asked: Asked, body: bytes, name: str | None, answer: Answer) -> None:
        """Answers one body of `/predict` in any of its forms, with production.

        Args:
            asked: What the headers say.
            body: As received.
            name: The model asked for; None is the default model.
            answer: Called once with the reply, at the earliest in the next tick.

        Raises:
            ServingError: What the caller is told instead; `answer` is not called then.
        """
        started = perf_counter()
        self.admission.enter(asked, "predict")
        try:
            require_json(asked.content_type)
            call = self._decode(asked, body, self.catalog.production(name), started)
        except BaseException:
            self.admission.leave()
            raise

        def tell(call: Call, outcome: Outcome) -> None:
            self.admission.leave()
            answer(predict_reply(call, outcome))

        self._batcher.submit(call, tell)

    async def predict_direct(self, asked: Asked, body: bytes, served: ServedModel) -> Reply:
        """Answers one body of `/predict` with a version the caller named; it stays out of windows and gate.

        Raises:
            ServingError: What the caller is told instead.
        """
        started = perf_counter()
        require_json(asked.content_type)
        call = self._decode(asked, body, served, started)
        call.role = "direct"
        return predict_reply(call, await self.submit(call, asked))

    async def submit(self, call: Call, asked: Asked, scope: Scope = "predict") -> Answers:
        """Answers and records a call.

        Raises:
            ServingError: What the caller is told instead.
        """
        self.admission.enter(asked, scope)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def tell(_: Call, outcome: Outcome) -> None:
            self.admission.leave()
            if not future.done():  # the caller may have gone
                future.set_result(outcome)

        self._batcher.submit(call, tell)
        outcome = await future
        if not isinstance(outcome, Answers):
            raise outcome
        return outcome

    def call(self, asked: Asked, served: ServedModel, rows: Sequence[Any], started: float) -> Call:
        """Makes the call of already decoded rows; its event time is now, or what a simulating key says."""
        now = datetime.now(UTC)
        source: Source = "http"
        if asked.event_time is not None:
            if not self.admission.allows(asked, "simulate"):
                raise ForbiddenError("x-event-time needs an API key with the scope 'simulate'; leave the header out")
            now, source = event_time(asked.event_time, now), "simulated"
        return Call(served, rows, asked.request_id, now, started, source=source)

    def _decode(self, asked: Asked, body: bytes, served: ServedModel, started: float) -> Call:
        row = served.codec.try_flat(body)
        if row is None:
            rows = decode_predict(body, served.codec, max_rows=self._max_rows, max_depth=self._max_depth)
            return self.call(asked, served, rows, started)
        call = self.call(asked, served, (row,), started)
        if self._records_raw and b"\n" not in body:  # an event is one line
            call.raw = body
        return call


def predict_reply(call: Call, outcome: Outcome) -> Reply:
    """The reply of `/predict` to what came of a call."""
    if not isinstance(outcome, Answers):
        return error_reply(outcome, call.request_id)
    ids = call.event_ids if len(call.rows) > 1 else None
    return Reply(200, answer_head(call), call.served.text.body(outcome, call.shares, ids))
