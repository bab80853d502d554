"""A batch of the log → the model's answers → appended to the log: the effect of the shadow's reader loop."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from serving import metrics
from serving.bundle import Bundle
from serving.errors import EngineError, EngineUnavailableError, RejectedError
from serving.row_codec import RowCodec
from serving.rows import Engine
from serving.shadow.answers import Question, Reply, Understudy, answer_event, questions
from streaming.codec import encode
from streaming.errors import StoreUnavailableError
from streaming.log import EventWriter, LogRecord

_Typed = tuple[int, msgspec.Struct]
"""Position of a question and its row."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class ShadowScorer:
    """An `Effect` (`streaming.loop`): returns when the answers are in the log, idempotent.

    Args:
        batch_rows: Most rows of one call.
    """

    def __init__(
        self,
        who: Understudy,
        model: tuple[Bundle, Engine],
        writer: EventWriter,
        *,
        batch_rows: int,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        bundle, self._engine = model
        self._who = who
        self._codec = RowCodec(bundle.signature, ignore_unknown=True)
        self._keys = [str(label) for label in bundle.classes or ()]
        self._writer = writer
        self._batch_rows = batch_rows
        self._clock = clock

    def __call__(self, records: Sequence[LogRecord], /) -> None:
        """Raises StoreUnavailableError while the model's process is away and LogUnavailableError while the log is."""
        asked, unreadable = questions(records, self._who)
        if asked:
            try:
                replies = self._answer(asked)
            except EngineUnavailableError as error:
                # To the loop a model that is being restarted is what a store that is away is: offer the batch again.
                raise StoreUnavailableError(str(error)) from error
            now = self._clock()
            pairs = zip(asked, replies, strict=True)
            events = [
                [encode(answer_event(one, self._who, reply, self._keys, recorded_at=now))] for one, reply in pairs
            ]
            self._writer.append(events)
            self._count(replies)
        if unreadable:
            metrics.shadow_skipped_total.labels(self._who.model_name).inc(unreadable)

    def _answer(self, asked: Sequence[Question]) -> list[Reply]:
        replies: dict[int, Reply] = {}
        typed: list[_Typed] = []
        for position, question in enumerate(asked):
            try:
                typed.append((position, self._row(question)))
            except RejectedError as error:
                replies[position] = Reply(0.0, 1, error_type=error.error_type)
        for start in range(0, len(typed), self._batch_rows):
            self._ask(typed[start : start + self._batch_rows], replies)
        return [replies[position] for position in range(len(asked))]

    def _row(self, question: Question) -> msgspec.Struct:
        row = self._codec.try_flat(question.features)
        return row if row is not None else self._codec.from_features(msgspec.json.decode(question.features) or {})

    def _ask(self, typed: Sequence[_Typed], replies: dict[int, Reply], *, again: bool = True) -> None:
        """Fills in the replies; halves a batch the model fails on until the rows at fault stand alone."""
        started = time.perf_counter()
        try:
            answers = self._engine.predict(self._codec.rows([row for _, row in typed]))
        except EngineUnavailableError:
            raise
        except EngineError as error:
            if len(typed) > 1:
                half = len(typed) // 2
                self._ask(typed[:half], replies)
                self._ask(typed[half:], replies)
            elif again:  # its process may have been killed over nothing
                self._ask(typed, replies, again=False)
            else:
                seconds = time.perf_counter() - started
                replies[typed[0][0]] = Reply(seconds, 1, error_type=error.error_type)
            return
        seconds, count = time.perf_counter() - started, len(typed)
        for index, (position, _) in enumerate(typed):
            probabilities = answers.probabilities[index] if answers.probabilities is not None else None
            replies[position] = Reply(seconds, count, answers.predictions[index], probabilities)

    def _count(self, replies: Sequence[Reply]) -> None:
        failed = sum(reply.error_type is not None for reply in replies)
        labels = (self._who.model_name, self._who.model_version, self._who.alias)
        for outcome, count in (("ok", len(replies) - failed), ("error", failed)):
            if count:
                metrics.predictions_total.labels(*labels, outcome).inc(count)
