import json
import sys
from pathlib import Path

import pytest

from streaming.codec import encode
from streaming.embedded import open_store_writer
from streaming.events import PredictionEvent
from streaming.ids import new_event_ids, received_at
from streaming.log import LogRecord
from streaming.settings import StreamingSettings
from streaming.store import DeadLetter, IndexedEvent
from understudy.cli import main
from understudy.supervisor.state import SupervisorLock
from versioning.memory import MemoryRegistry

Run = tuple[int, str, str]


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Run:
    monkeypatch.setattr(sys, "argv", ["understudy", *arguments])
    code = main()
    output = capsys.readouterr()
    return code, output.out, output.err


def store_one_answer_and_one_dead_letter() -> None:
    (event_id,) = new_event_ids(1)
    at = received_at(event_id)
    event = PredictionEvent(
        event_time=at,
        recorded_at=at,
        event_id=event_id,
        request_id="r",
        model_name="iris",
        model_version="1",
        role="production",
    )
    writer = open_store_writer(StreamingSettings())
    writer.index([IndexedEvent(LogRecord("p", 0, encode(event)), event)])
    writer.set_aside([DeadLetter(LogRecord("p", 1, b"junk"), "corrupt_event", "not an event", at)])
    writer.close()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nonsense"], "No such command"),
        (["up", "--nonsense"], "No such option"),
        (["run", "nonsense"], "Roles: api, loader"),
        (["keys", "create", "joe", "--scope", "all"], "choose from predict"),
        (["keys", "revoke", "joe"], "no key named 'joe'"),
        (["logs", "api"], "No log 'api'"),
        (["dlq", "list", "--limit", "0"], "limit"),
    ],
)
def test_a_command_that_cannot_be_carried_out_says_why_with_code_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    code, _, complaint = run(capsys, monkeypatch, *arguments)

    assert code == 2
    assert told in complaint


def test_a_setting_that_cannot_be_read_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_PORT", "eighty")

    code, _, complaint = run(capsys, monkeypatch, "status")

    assert code == 2
    assert "API_PORT" in complaint
    assert "'eighty'" in complaint


def test_status_is_1_while_nothing_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, text, _ = run(capsys, monkeypatch, "status", "--json")

    document = json.loads(text)
    assert code == 1
    assert (document["phase"], document["processes"]) == ("stopped", [])
    assert document["findings"][0]["callers_affected"] is True


def test_events_is_1_while_there_are_none(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(capsys, monkeypatch, "events", "--json")[:2] == (1, "[]\n")


def test_events_counts_by_version_and_role(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    store_one_answer_and_one_dead_letter()

    code, text, _ = run(capsys, monkeypatch, "events", "--json")

    assert code == 0
    assert json.loads(text) == [{"model": "iris", "version": "1", "role": "production", "outcome": "ok", "events": 1}]


def test_dead_letters_are_listed_with_their_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store_one_answer_and_one_dead_letter()

    code, text, _ = run(capsys, monkeypatch, "dlq", "list", "--json")

    (letter,) = json.loads(text)
    assert code == 0
    assert (letter["reason"], letter["sequence"], letter["bytes"]) == ("corrupt_event", 1, 4)


def test_a_letter_that_stays_dead_makes_redrive_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store_one_answer_and_one_dead_letter()

    code, text, _ = run(capsys, monkeypatch, "dlq", "redrive", "--json")

    assert (code, json.loads(text)["still_dead"]) == (1, 1)


def test_reconcile_is_1_when_the_store_has_what_the_log_never_acked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(capsys, monkeypatch, "reconcile", "--json")[0] == 0
    store_one_answer_and_one_dead_letter()

    code, text, _ = run(capsys, monkeypatch, "reconcile", "--json")

    assert (code, json.loads(text)["ok"]) == (1, False)


def test_a_key_is_shown_once_and_works_until_it_is_revoked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text, _ = run(capsys, monkeypatch, "keys", "create", "joe", "--scope", "predict", "--json")
    secret = json.loads(text)["key"]
    assert (code, secret[:3]) == (0, "us_")

    listed = run(capsys, monkeypatch, "keys", "list", "--json")[1]
    assert [key["name"] for key in json.loads(listed)] == ["joe"]
    assert secret not in listed

    assert run(capsys, monkeypatch, "keys", "revoke", "joe")[0] == 0
    assert json.loads(run(capsys, monkeypatch, "keys", "list", "--json")[1]) == []


def test_revoking_the_last_key_says_that_everybody_is_refused_now(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("joe", "ann"):
        run(capsys, monkeypatch, "keys", "create", name)

    _, first, _ = run(capsys, monkeypatch, "keys", "revoke", "joe")
    _, last, _ = run(capsys, monkeypatch, "keys", "revoke", "ann")

    assert "refuse everybody" not in first
    assert "refuse everybody until you make another or start them again" in last


def test_a_promotion_of_a_model_that_is_not_in_models_waits_for_nobody(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = MemoryRegistry()
    registry.register("wine", source="models:/wine")
    monkeypatch.setattr("understudy.cli.registry.open_registry", lambda _settings: registry)

    lock = SupervisorLock(Path("var/run"))
    code, told, _ = run(capsys, monkeypatch, "promote", "wine", "1")
    lock.release()

    assert code == 0
    assert "MODELS=flights does not serve it here: add wine" in told


def test_reset_deletes_the_data_folder_only_when_all_in_it_is_ours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, empty_folder: Path
) -> None:
    (empty_folder / "var" / "log").mkdir(parents=True)
    (empty_folder / "var" / "thesis.txt").write_text("mine")

    code, _, complaint = run(capsys, monkeypatch, "reset", "--yes")
    assert code == 2
    assert "thesis.txt" in complaint

    (empty_folder / "var" / "thesis.txt").unlink()
    assert run(capsys, monkeypatch, "reset", "--yes")[0] == 0
    assert not (empty_folder / "var").exists()


def test_the_newest_lines_of_a_log_are_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, empty_folder: Path
) -> None:
    (empty_folder / "var" / "logs").mkdir(parents=True)
    (empty_folder / "var" / "logs" / "shadow.log").write_text("one\ntwo\nthree\n")

    assert run(capsys, monkeypatch, "logs", "shadow", "-n", "2") == (0, "two\nthree\n", "")


def test_down_with_nothing_running_is_fine(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, text, _ = run(capsys, monkeypatch, "down")

    assert code == 0
    assert text.startswith("Nothing runs on")


@pytest.mark.parametrize("check", ["python", "disk", "write rights", "clock", "registry", "bundles", "log", "store"])
def test_doctor_examines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, check: str) -> None:
    rows = json.loads(run(capsys, monkeypatch, "doctor", "--json")[1])

    assert check in [row["check"] for row in rows]


def test_doctor_names_the_registry_that_is_away(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")

    code, text, _ = run(capsys, monkeypatch, "doctor", "--json")

    first = json.loads(text)[0]
    assert code == 1
    assert (first["check"], first["ok"]) == ("registry", "NO")
    assert "MLFLOW_TRACKING_URI" in first["fix"]
