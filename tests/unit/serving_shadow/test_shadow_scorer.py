from datetime import UTC, datetime

import pytest

from serving.bundle import Bundle, LatencyProfile
from serving.errors import EngineError, EngineUnavailableError
from serving.rows import Answers, Rows
from serving.shadow.answers import Understudy
from serving.shadow.scorer import ShadowScorer
from serving.signature import Column, Signature
from streaming.codec import decode, encode
from streaming.errors import LogFullError, StoreUnavailableError
from streaming.events import PredictionEvent
from streaming.ids import new_event_ids
from streaming.log import LogRecord
from streaming.memory_log import MemoryLog

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
POISON = 666.0
BUNDLE = Bundle(
    model_name="churn",
    model_version="2",
    digest="d" * 64,
    engine="process",
    task="regressor",
    signature=Signature((Column("x", "float"), Column("n", "integer", dtype="long"))),
    example={"x": 1.0, "n": 1},
    latency=LatencyProfile({}),
    created_at=NOW,
)


class Engine:
    """Adds; fails on poison; is away while `away`."""

    inline = False

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.away = False
        self.hiccups = 0

    def predict(self, rows: Rows) -> Answers:
        if self.away:
            raise EngineUnavailableError("restarting")
        self.calls.append(len(rows))
        if self.hiccups:
            self.hiccups -= 1
            raise EngineError("killed over nothing")
        if (rows.numbers == POISON).any():
            raise EngineError("poison")
        return Answers(rows.numbers.sum(axis=1).tolist(), None)

    def close(self) -> None:
        pass


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def scorer(engine: Engine, log: MemoryLog) -> ShadowScorer:
    return ShadowScorer(Understudy("churn", "2", "shadow"), (BUNDLE, engine), log.writer(), batch_rows=4)


def records(*features: object) -> list[LogRecord]:
    events = [
        PredictionEvent(
            event_time=NOW,
            recorded_at=NOW,
            event_id=new_event_ids(1)[0],
            request_id="r",
            model_name="churn",
            model_version="1",
            role="production",
            features=one,
        )
        for one in features
    ]
    return [LogRecord("p", offset, encode(event)) for offset, event in enumerate(events)]


def answers(log: MemoryLog) -> list[PredictionEvent]:
    events = [decode(record.value) for record in log.reader(new_event_ids(1)[0]).poll(1000, 0)]
    return [event for event in events if isinstance(event, PredictionEvent)]


def test_every_event_gets_one_answer_in_batches(scorer: ShadowScorer, engine: Engine, log: MemoryLog) -> None:
    given = records(*({"x": float(value), "n": 1, "unknown": "kept out"} for value in range(6)))

    scorer(given)

    assert engine.calls == [4, 2]
    assert [event.prediction_value for event in answers(log)] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert [event.batch_rows for event in answers(log)] == [4, 4, 4, 4, 2, 2]


def test_a_row_that_lacks_a_field_is_an_error_and_the_others_are_answered(scorer: ShadowScorer, log: MemoryLog) -> None:
    scorer(records({"x": 1.0, "n": 1}, {"x": 1.0}, {"x": None, "n": 2.0}, {"x": 1.0, "n": "one"}, None))

    found = [(event.outcome, event.error_type) for event in answers(log)]
    assert found == [
        ("ok", None),
        ("error", "invalid_rows"),
        ("ok", None),
        ("error", "invalid_rows"),
        ("error", "invalid_rows"),
    ]


def test_a_row_the_model_fails_on_stands_alone(scorer: ShadowScorer, log: MemoryLog) -> None:
    scorer(records({"x": 1.0, "n": 0}, {"x": POISON, "n": 0}, {"x": 3.0, "n": 0}))

    assert [(event.outcome, event.prediction_value) for event in answers(log)] == [
        ("ok", 1.0),
        ("error", None),
        ("ok", 3.0),
    ]
    assert answers(log)[1].error_type == "engine"


def test_a_single_row_that_met_a_killed_process_is_asked_again(
    scorer: ShadowScorer, engine: Engine, log: MemoryLog
) -> None:
    engine.hiccups = 1

    scorer(records({"x": 1.0, "n": 0}))

    assert [event.outcome for event in answers(log)] == ["ok"]


def test_a_model_that_is_away_writes_nothing_and_asks_for_the_batch_again(
    scorer: ShadowScorer, engine: Engine, log: MemoryLog
) -> None:
    given = records({"x": 1.0, "n": 0}, {"x": 2.0, "n": 0})
    engine.away = True
    with pytest.raises(StoreUnavailableError, match="restarting"):
        scorer(given)
    assert answers(log) == []

    engine.away = False
    scorer(given)
    scorer(given)

    ids = [event.event_id for event in answers(log)]
    assert ids[:2] == ids[2:]


def test_a_full_log_is_told_to_the_loop(engine: Engine) -> None:
    scorer = ShadowScorer(
        Understudy("churn", "2", "shadow"), (BUNDLE, engine), MemoryLog(max_bytes=10).writer(), batch_rows=4
    )

    with pytest.raises(LogFullError):
        scorer(records({"x": 1.0, "n": 0}))


def test_nothing_for_this_model_reaches_no_engine(scorer: ShadowScorer, engine: Engine, log: MemoryLog) -> None:
    scorer([LogRecord("p", 0, b"junk")])

    assert engine.calls == []
    assert answers(log) == []
