"""Answers out: what `/predict` and `/invocations` say, and what the events record of an answer."""

from collections.abc import Sequence

import msgspec

from serving.rows import Answers, Value

_json = msgspec.json.Encoder().encode


class AnswerText:
    """One version's answers as JSON, put together from parts made once: the hot path has no objects to encode.

    Args:
        classes: In the order of the probabilities; None for regressors.
    """

    def __init__(self, classes: Sequence[Value] | None) -> None:
        labels = list(classes or ())
        self._values = {label: _json(label) for label in labels}
        self._recorded = {label: _recorded(label) for label in labels}
        keys = [_json(str(label)).replace(b"%", b"%%") for label in labels]
        self._shares = b"{" + b",".join(b"%b:%%b" % key for key in keys) + b"}"

    def body(self, answers: Answers, shares: Sequence[bytes], event_ids: Sequence[str] | None) -> bytes:
        """The body of an answer: `{"prediction": [0], "probabilities": [{"0": 0.9, "1": 0.1}]}`.

        Args:
            answers: Of all rows of the request.
            shares: Of every row, as `self.shares` says them.
            event_ids: One per row; None leaves them to the `x-event-id` header.
        """
        values = self._values
        parts = [b'{"prediction":[', b",".join([values.get(one) or _json(one) for one in answers.predictions]), b"]"]
        if shares:
            parts += (b',"probabilities":[', b",".join(shares), b"]")
        if event_ids is not None:
            parts += (b',"event_ids":', _json(event_ids))
        parts.append(b"}")
        return b"".join(parts)

    def shares(self, answers: Answers) -> list[bytes]:
        """Class to probability of every row, as JSON objects; none where there are no probabilities."""
        if answers.probabilities is None:
            return []
        return [self._shares % tuple(map(_json, row)) for row in answers.probabilities]

    def recorded(self, answers: Answers, shares: Sequence[bytes], row: int) -> bytes:
        """The fields of a prediction event that say what was answered, each after a comma."""
        prediction = answers.predictions[row]
        part = self._recorded.get(prediction) or _recorded(prediction)
        if answers.probabilities is None:
            return part
        score = _json(score_of(answers.probabilities[row]))
        return b'%b,"probabilities":%b,"score":%b' % (part, shares[row], score)


def _recorded(prediction: Value) -> bytes:
    keyword = b',"prediction":%b' % _json(str(prediction))
    value = number_of(prediction)
    return keyword if value is None else b'%b,"prediction_value":%b' % (keyword, _json(value))


def number_of(prediction: Value) -> float | None:
    """The prediction as a double, None for text."""
    return None if isinstance(prediction, str) else float(prediction)


def score_of(probabilities: Sequence[float] | None) -> float | None:
    """Probability of the last class for two classes, of the winning class for more."""
    if probabilities is None:
        return None
    return probabilities[1] if len(probabilities) == 2 else max(probabilities)


def encode_invocations(answers: Answers) -> bytes:
    """The body of MLflow's scoring server: `{"predictions": [0, 1]}`."""
    return _json({"predictions": answers.predictions})
