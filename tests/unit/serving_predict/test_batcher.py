"""What one tick of the event loop does with the calls that fall into it."""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import pytest
from prometheus_client import REGISTRY

from serving.batcher import TickBatcher
from serving.bundle import Bundle, LatencyProfile
from serving.catalog import ServedModel
from serving.errors import EngineError, NotRecordedError, ServingError, TooLargeError
from serving.protocol.answers import AnswerText
from serving.recording import Call
from serving.row_codec import RowCodec
from serving.rows import Answers, Rows
from serving.signature import Column, Signature
from streaming.codec import decode
from streaming.errors import LogFullError
from streaming.events import PredictionEvent

SIGNATURE = Signature((Column("x", "float", nullable=True), Column("color", "string", dtype="string")))


class SignEngine:
    """Class 1 for x above 0; refuses null, as a model without imputation does. Remembers its calls' sizes."""

    def __init__(self, *, inline: bool = True, flip: bool = False) -> None:
        self._inline = inline
        self._flip = flip
        self.calls: list[int] = []

    @property
    def inline(self) -> bool:
        return self._inline

    def predict(self, rows: Rows) -> Answers:
        self.calls.append(len(rows))
        values = rows.numbers[:, 0].tolist()
        if any(value != value for value in values):  # noqa: PLR0124 only NaN differs from itself
            raise EngineError("null in x")
        labels: list[str | int | float | bool] = [int((value > 0) is not self._flip) for value in values]
        return Answers(labels, [[0.25, 0.75] if label else [0.75, 0.25] for label in labels])

    def close(self) -> None:
        pass


class ListWriter:
    """A log that remembers its groups, and can be told to fail."""

    def __init__(self, *, blocks: bool = False) -> None:
        self._blocks = blocks
        self.groups: list[Sequence[bytes]] = []
        self.appends = 0
        self.failure: Exception | None = None

    @property
    def blocks(self) -> bool:
        return self._blocks

    def append(self, groups: Sequence[Sequence[bytes]]) -> None:
        if self.failure is not None:
            raise self.failure
        self.appends += 1
        self.groups.extend(groups)

    def close(self) -> None:
        pass


def serve(engine: SignEngine, version: str = "1") -> ServedModel:
    bundle = Bundle(
        model_name="toy",
        model_version=version,
        digest="0" * 64,
        engine="onnx",
        task="classifier",
        classes=[0, 1],
        signature=SIGNATURE,
        example={"x": 1.0, "color": "red"},
        latency=LatencyProfile({1: 1e-5}),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return ServedModel(bundle, "production", engine, RowCodec(SIGNATURE), AnswerText([0, 1]))


def call_of(served: ServedModel, *values: float | None, color: str = "red") -> Call:
    rows = served.codec.from_records([{"x": value, "color": color} for value in values])
    return Call(served, rows, "r", datetime(2026, 1, 1, tzinfo=UTC), perf_counter())


def events_of(writer: ListWriter) -> list[list[PredictionEvent]]:
    groups = [[decode(event) for event in group] for group in writer.groups]
    return [[event for event in group if isinstance(event, PredictionEvent)] for group in groups]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


@pytest.fixture(params=[(True, False), (False, False), (True, True)], ids=["inline", "thread", "disk"])
def parts(request: pytest.FixtureRequest) -> tuple[SignEngine, ListWriter]:
    inline, blocks = request.param
    return SignEngine(inline=inline), ListWriter(blocks=blocks)


def asking(batcher: TickBatcher, call: Call) -> asyncio.Future[Answers | ServingError]:
    future: asyncio.Future[Answers | ServingError] = asyncio.get_running_loop().create_future()
    batcher.submit(call, lambda _, outcome: future.set_result(outcome))
    return future


async def answer(writer: ListWriter, calls: Sequence[Call], **limits: int) -> list[Answers | ServingError]:
    batcher = TickBatcher(writer, max_event_bytes=limits.get("max_event_bytes", 10_000))
    answers = await asyncio.gather(*(asking(batcher, call) for call in calls))
    await batcher.close()
    return answers


def test_calls_of_one_tick_are_one_model_call_and_one_append(parts: tuple[SignEngine, ListWriter]) -> None:
    engine, writer = parts
    served = serve(engine)
    answers = run(answer(writer, [call_of(served, 1.0), call_of(served, -1.0, 2.0), call_of(served, -3.0)]))
    assert [one.predictions for one in answers] == [[1], [0, 1], [0]]
    assert engine.calls == [4]
    assert writer.appends == 1


def test_every_row_is_one_event_and_a_request_is_one_group(parts: tuple[SignEngine, ListWriter]) -> None:
    engine, writer = parts
    served = serve(engine)
    call = call_of(served, -1.0, 2.0)
    run(answer(writer, [call, call_of(served, 5.0)]))
    first, second = events_of(writer)
    assert [event.row for event in first] == [0, 1]
    assert [event.event_id for event in first] == call.event_ids
    assert [event.prediction for event in first] == ["0", "1"]
    assert [event.score for event in first] == [0.25, 0.75]
    assert [event.features for event in first] == [{"x": -1.0, "color": "red"}, {"x": 2.0, "color": "red"}]
    assert [event.batch_rows for event in (*first, *second)] == [3, 3, 3]


def test_a_row_the_model_refuses_fails_its_own_caller_only(parts: tuple[SignEngine, ListWriter]) -> None:
    engine, writer = parts
    served = serve(engine)
    good, bad, last = run(answer(writer, [call_of(served, 1.0), call_of(served, None), call_of(served, -1.0)]))
    assert (good.predictions, last.predictions) == ([1], [0])
    assert isinstance(bad, EngineError)
    assert [(event.outcome, event.error_type) for group in events_of(writer) for event in group] == [
        ("ok", None),
        ("error", "engine"),
        ("ok", None),
    ]


def test_an_answer_that_was_not_recorded_is_not_given(parts: tuple[SignEngine, ListWriter]) -> None:
    engine, writer = parts
    writer.failure = LogFullError("the log is full")
    (refused,) = run(answer(writer, [call_of(serve(engine), 1.0)]))
    assert isinstance(refused, NotRecordedError)
    assert refused.retry_after_seconds == LogFullError.retry_after_seconds


def test_a_fault_of_ours_answers_the_callers_and_is_counted(parts: tuple[SignEngine, ListWriter]) -> None:
    engine, writer = parts
    writer.failure = ZeroDivisionError()
    before = REGISTRY.get_sample_value("crashed_batches_total") or 0
    (failed,) = run(answer(writer, [call_of(serve(engine), 1.0)]))
    assert type(failed) is ServingError
    assert REGISTRY.get_sample_value("crashed_batches_total") == before + 1


def test_a_row_too_large_to_record_is_refused_alone(parts: tuple[SignEngine, ListWriter]) -> None:
    engine, writer = parts
    served = serve(engine)
    calls = [call_of(served, 1.0), call_of(served, 1.0, color="x" * 5_000), call_of(served, 2.0)]
    good, large, last = run(answer(writer, calls, max_event_bytes=2_000))
    assert (good.predictions, last.predictions) == ([1], [1])
    assert isinstance(large, TooLargeError)
    assert len(writer.groups) == 2


def test_a_caller_that_cannot_be_told_harms_nobody_and_is_still_recorded(parts: tuple[SignEngine, ListWriter]) -> None:
    engine, writer = parts
    served = serve(engine)

    def gone(_call: Call, _outcome: object) -> None:
        raise ConnectionResetError

    async def work() -> Answers | ServingError:
        batcher = TickBatcher(writer, max_event_bytes=10_000)
        batcher.submit(call_of(served, 1.0), gone)
        answers = await asking(batcher, call_of(served, -1.0))
        await batcher.close()
        return answers

    assert run(work()).predictions == [0]
    assert len(writer.groups) == 2


def test_two_versions_in_one_tick_keep_their_own_answers(parts: tuple[SignEngine, ListWriter]) -> None:
    engine, writer = parts
    old, new = serve(engine), serve(SignEngine(flip=True), version="2")
    first, second = run(answer(writer, [call_of(old, 1.0), call_of(new, 1.0)]))
    assert (first.predictions, second.predictions) == ([1], [0])
    assert sorted(event.model_version for group in events_of(writer) for event in group) == ["1", "2"]


def test_what_was_answered_is_already_counted_when_the_answer_is_given(parts: tuple[SignEngine, ListWriter]) -> None:
    engine, writer = parts
    served = serve(engine, version="counted")
    labels = {"model_name": "toy", "model_version": "counted", "role": "production"}
    before = REGISTRY.get_sample_value("predictions_total", {**labels, "outcome": "ok"}) or 0

    async def work() -> float:
        batcher = TickBatcher(writer, max_event_bytes=10_000)
        await asking(batcher, call_of(served, 1.0, 2.0))
        counted = REGISTRY.get_sample_value("predictions_total", {**labels, "outcome": "ok"}) or 0
        await batcher.close()
        return counted

    assert run(work()) == before + 2
