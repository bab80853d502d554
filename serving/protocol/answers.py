"""Answers out: what `/predict` and `/invocations` say."""

from collections.abc import Mapping, Sequence

import msgspec

from serving.rows import Answers, Value


class _Answer(msgspec.Struct, gc=False, omit_defaults=True):
    prediction: list[Value]
    probabilities: list[dict[str, float]] | msgspec.UnsetType = msgspec.UNSET
    event_ids: Sequence[str] | msgspec.UnsetType = msgspec.UNSET


_encode = msgspec.json.Encoder().encode


def encode_predict(answers: Answers, class_texts: Mapping[Value, str], event_ids: Sequence[str] | None) -> bytes:
    """The body of an answer: `{"prediction": [0], "probabilities": [{"0": 0.9, "1": 0.1}]}`.

    Args:
        answers: Of all rows of the request.
        class_texts: Each class as text, in the order of the probabilities.
        event_ids: One per row; None leaves them to the `x-event-id` header.
    """
    answer = _Answer(answers.predictions)
    if answers.probabilities is not None:
        texts = [*class_texts.values()]
        answer.probabilities = [dict(zip(texts, row, strict=True)) for row in answers.probabilities]
    if event_ids is not None:
        answer.event_ids = event_ids
    return _encode(answer)


def encode_invocations(answers: Answers) -> bytes:
    """The body of MLflow's scoring server: `{"predictions": [0, 1]}`."""
    return _encode({"predictions": answers.predictions})
