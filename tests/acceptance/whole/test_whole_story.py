"""From an answer to its record, its shadow's answer, its label, a promotion and the way back."""

import os
import signal
from typing import Any

import psutil
import pytest

from streaming.sqlite import SqliteStoreReader
from streaming.store import PredictionQuery

pytestmark = pytest.mark.slow
Whole = Any  # of conftest.py, which no test can import


def stored(whole: Whole, **query: str) -> list[dict[str, Any]]:
    return SqliteStoreReader(whole.folder / "store").predictions(PredictionQuery(**query))  # type: ignore[arg-type]  # all are strings


def test_an_answer_is_recorded_as_it_was_given(whole: Whole) -> None:
    row = whole.example()

    answer, headers = whole.ask("/predict", row)
    whole.settle()

    (event,) = stored(whole, event_id=headers["x-event-id"])
    assert event["features"] == row
    assert event["prediction"] == str(answer["prediction"][0])
    assert event["probabilities"] == answer["probabilities"][0]
    assert (event["role"], event["model_version"]) == ("production", headers["x-model-version"])


def test_the_shadow_answers_every_row_once_and_a_label_finds_its_row(whole: Whole) -> None:
    shadow = whole.roles()["shadow"]
    answer, _ = whole.ask("/predict", {"instances": [whole.example()] * 3})

    whole.ask("/feedback", {"event_id": answer["event_ids"][1], "label": answer["prediction"][1]})
    account = whole.settle()

    answers = [stored(whole, origin_event_id=event_id, role="shadow") for event_id in answer["event_ids"]]
    assert [[event["model_version"] for event in events] for events in answers] == [[shadow]] * 3
    (label,) = SqliteStoreReader(whole.folder / "store").labels(answer["event_ids"])
    assert (label["event_id"], label["label"]) == (answer["event_ids"][1], answer["prediction"][1])
    assert account["ok"]


def test_promotion_changes_who_answers_and_who_listens_and_rollback_undoes_it(whole: Whole) -> None:
    row, before = whole.example(), whole.roles()
    swapped = {"production": before["shadow"], "shadow": before["production"]}

    assert whole.understudy("promote", "breast_cancer", before["shadow"], "--reason", "better").returncode == 0
    whole.eventually(lambda: whole.ask("/predict", row)[1]["x-model-version"] == swapped["production"])
    whole.eventually(lambda: whole.roles() == swapped)
    _, headers = whole.ask("/predict", row)
    whole.settle()
    (answer,) = stored(whole, origin_event_id=headers["x-event-id"], role="shadow")
    assert answer["model_version"] == swapped["shadow"]

    assert whole.understudy("rollback").returncode == 0
    whole.eventually(lambda: whole.ask("/predict", row)[1]["x-model-version"] == before["production"])
    whole.eventually(lambda: whole.roles() == before)
    assert whole.settle()["ok"]
    assert whole.understudy("status").returncode == 0


def test_a_second_up_on_the_same_folder_is_refused_and_harms_nothing(whole: Whole) -> None:
    state = whole.state()

    for arguments in (["up"], ["up", "--detach"]):
        refused = whole.understudy(*arguments)
        assert refused.returncode != 0
        assert "already runs" in refused.stderr

    assert whole.state() == state


def test_a_killed_supervisor_leaves_no_process_behind(whole: Whole) -> None:
    state = whole.state()
    assert state
    family = [psutil.Process(child.pid) for child in state.children if child.pid]
    family += [grandchild for child in family for grandchild in child.children(recursive=True)]

    os.kill(state.pid, signal.SIGKILL)

    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []


def test_a_restart_answers_without_the_registry(whole: Whole) -> None:
    row = whole.example()
    assert whole.understudy("down").returncode == 0
    assert whole.state() is None
    database = whole.folder / "mlflow.db"
    hidden = database.rename(whole.folder.parent / "mlflow.db")
    try:
        whole.up()
        answer, headers = whole.ask("/predict", row)
        whole.settle()
    finally:
        database.unlink(missing_ok=True)  # an empty one may have been made
        hidden.rename(database)

    assert answer["prediction"]
    assert stored(whole, event_id=headers["x-event-id"])
    assert stored(whole, origin_event_id=headers["x-event-id"], role="shadow")
    assert whole.understudy("down").returncode == 0
