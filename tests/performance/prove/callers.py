"""Callers that never try again and remember what they were promised."""

import http.client
import json
import random
import threading
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Columns = Sequence[Mapping[str, Any]]
Features = dict[str, Any]
SINGLE_ROW_SHARE = 0.6
LABEL_SHARE = 0.2
MOST_ROWS = 8
WORDS = ("ÅÄÖ", "日本", 'quote " and \\', "", "new\nline")


@dataclass(frozen=True, slots=True)
class Acked:
    """One row that was answered with 200."""

    request_id: str
    row: int
    features: Features
    model_version: str
    prediction: str
    probabilities: dict[str, float] | None


@dataclass(frozen=True)
class Target:
    """Whom to call, and what its model takes."""

    url: str
    key: str
    columns: Columns
    example: Features


@dataclass
class Memory:
    """What one caller sent and what it was told. `sent` has the rows of every request, answered or not.

    Attributes:
        labelled: Prediction event id to (label, labelled_at) of every label answered with 200.
        longest_gap_seconds: Between two answers with 200.
        reset: Requests that ended without an answer, as those do that a killed worker held.
    """

    sent: dict[str, int] = field(default_factory=dict)
    acked: dict[str, Acked] = field(default_factory=dict)
    labelled: dict[str, tuple[str, str]] = field(default_factory=dict)
    reset: int = 0
    not_200: dict[int, int] = field(default_factory=dict)
    answers: int = 0
    longest_gap_seconds: float = 0.0


class Caller(threading.Thread):
    """Sends rows and labels over one kept-open connection until told to stop.

    Args:
        number: Makes its request ids and rows differ from those of the others.
        pause_seconds: Longest pause between two requests; the mean is half of it.
    """

    def __init__(self, number: int, target: Target, pause_seconds: float) -> None:
        super().__init__(name=f"caller-{number}", daemon=True)
        parts = urllib.parse.urlsplit(target.url)
        self.memory = Memory()
        self.over = threading.Event()
        self.failed: BaseException | None = None
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        self._headers = {"content-type": "application/json", "authorization": f"Bearer {target.key}"}
        self._dice = random.Random(number)
        self._rows = Rows(target.columns, target.example, self._dice, number)
        self._number = number
        self._pause_seconds = pause_seconds
        self._unlabelled: list[str] = []
        self._answered_at = 0.0

    def run(self) -> None:
        """Calls until `over`."""
        self._answered_at = time.monotonic()
        try:
            while not self.over.wait(self._dice.uniform(0, self._pause_seconds)):
                if self._dice.random() < LABEL_SHARE and self._unlabelled:
                    self._label()
                else:
                    self._predict()
        except BaseException as error:  # noqa: BLE001 the proof must not call a caller's own fault a success
            self.failed = error
        finally:
            self._connection.close()

    def _predict(self) -> None:
        request_id = f"caller-{self._number}-{len(self.memory.sent)}"
        single = self._dice.random() < SINGLE_ROW_SHARE
        rows = [self._rows.next() for _ in range(1 if single else self._dice.randint(2, MOST_ROWS))]
        self.memory.sent[request_id] = len(rows)
        body = rows[0] if single else {"instances": rows}
        answer = self._post("/predict", body, {"x-request-id": request_id})
        if answer is None:
            return
        headers, document = answer
        event_ids = document.get("event_ids") or [headers["x-event-id"]]
        probabilities = document.get("probabilities") or [None] * len(rows)
        told = zip(event_ids, rows, document["prediction"], probabilities, strict=True)
        for row, (event_id, features, prediction, chances) in enumerate(told):
            version = headers["x-model-version"]
            self.memory.acked[event_id] = Acked(request_id, row, features, version, str(prediction), chances)
            self._unlabelled.append(event_id)

    def _label(self) -> None:
        event_ids = [self._unlabelled.pop() for _ in range(min(3, len(self._unlabelled)))]
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        labels = [
            {"event_id": event_id, "label": self._of_its_class(event_id), "labelled_at": now} for event_id in event_ids
        ]
        if self._post("/feedback", labels, {}) is not None:
            self.memory.labelled |= {label["event_id"]: (str(label["label"]), now) for label in labels}

    def _of_its_class(self, event_id: str) -> str:
        return self._dice.choice([*(self.memory.acked[event_id].probabilities or {"0": 1.0})])

    def _post(
        self, path: str, body: object, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPMessage, dict[str, Any]] | None:
        try:
            self._connection.request("POST", path, json.dumps(body), {**self._headers, **headers})
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self.memory.reset += 1
            return None
        if response.status != 200:
            self.memory.not_200[response.status] = self.memory.not_200.get(response.status, 0) + 1
            return None
        self.memory.answers += 1
        now = time.monotonic()
        self.memory.longest_gap_seconds = max(self.memory.longest_gap_seconds, now - self._answered_at)
        self._answered_at = now
        return response.headers, json.loads(text)


class Rows:
    """Valid rows that all differ, with nulls and unusual strings where the model allows them."""

    def __init__(self, columns: Columns, example: Features, dice: random.Random, number: int) -> None:
        self._columns = columns
        self._example = example
        self._dice = dice
        self._made = number * 1_000_000

    def next(self) -> Features:
        """One more row."""
        self._made += 1
        row = {column["name"]: self._value(column) for column in self._columns}
        floats = [column["name"] for column in self._columns if column["type"] == "float"]
        if floats:  # no two rows alike, so that one can never be taken for another
            row[floats[0]] = self._made + 0.5
        return row

    def _value(self, column: Mapping[str, Any]) -> object:
        near = self._example.get(column["name"])
        if column["nullable"] and self._dice.random() < 0.05:
            return None
        match column["type"]:
            case "string":
                known = column.get("values") or [near or "a"]
                return self._dice.choice(WORDS if self._dice.random() < 0.05 else known)
            case "boolean":
                return self._dice.random() < 0.5
            case "integer":
                return self._dice.randint(0, 2 * abs(int(near or 1)) + 1)
            case _:
                return float(near or 1) * self._dice.uniform(0.5, 1.5)
