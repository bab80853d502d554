"""A real indexer on a real log: killed, restarted, fed with junk, asked to redrive."""

import json
import random
import signal
import sqlite3
from typing import Any

import pytest

from streaming.embedded import open_store_reader, redrive_letters, take_stock
from streaming.store import PredictionQuery

pytestmark = pytest.mark.slow


def stored(installation: Any) -> dict[str, Any]:
    documents = open_store_reader(installation.settings).predictions(PredictionQuery(limit=1_000_000))
    found = {document["event_id"]: document for document in documents}
    assert len(found) == len(documents)
    return found


def acked(installation: Any) -> dict[str, Any]:
    return {event_id: json.loads(value) for event_id, value in installation.acked.items()}


def test_a_killed_indexer_loses_nothing_and_stores_nothing_twice(installation: Any) -> None:
    chance = random.Random(7)
    writer = installation.writer()
    for _ in range(8):
        indexer = installation.start_indexer()
        already = take_stock(installation.settings).totals().stored
        for _ in range(20):
            installation.append(writer, 100)
        goal = already + chance.randrange(1, 3500)
        installation.wait_until(
            lambda goal=goal: take_stock(installation.settings).totals().stored >= goal, "some of it stored"
        )
        indexer.send_signal(signal.SIGKILL)
        assert indexer.wait() == -signal.SIGKILL
        assert take_stock(installation.settings).ok
    writer.close()
    last = installation.start_indexer()
    installation.wait_until_settled()
    last.terminate()
    assert last.wait() == 0
    assert stored(installation) == acked(installation)
    report = take_stock(installation.settings)
    assert (report.ok, report.totals().acked, report.totals().stored) == (True, 32_000, 32_000)
    assert open_store_reader(installation.settings).counts() == {
        ("flights", "1", "production", "ok"): 16_000,
        ("flights", "2", "shadow", "ok"): 16_000,
    }


def test_junk_becomes_dead_letters_that_a_running_and_a_stopped_indexer_redrive(installation: Any) -> None:
    writer = installation.writer()
    writer.append([[b"junk"], [b'{"type":"label"}']])
    installation.append(writer, 10)
    indexer = installation.start_indexer()
    installation.wait_until_settled()
    assert take_stock(installation.settings).totals().dead_lettered == 2
    running = redrive_letters(installation.settings)
    indexer.terminate()
    assert indexer.wait() == 0
    stopped = redrive_letters(installation.settings)
    assert running == stopped
    assert (stopped.offered, stopped.still_dead) == (2, 2)
    assert take_stock(installation.settings).ok
    assert list(installation.settings.store_dir.glob("redrive-*")) == []


def test_a_letter_whose_cause_is_mended_is_stored_by_redriving(installation: Any) -> None:
    writer = installation.writer()
    (event_id,) = installation.append(writer, 1)
    indexer = installation.start_indexer()
    installation.wait_until_settled()
    indexer.terminate()
    assert indexer.wait() == 0
    store = installation.settings.store_dir
    _turn_into_a_dead_letter(store, installation.acked[event_id], writer_partition(installation))
    assert redrive_letters(installation.settings).stored == 1
    assert take_stock(installation.settings).totals().dead_lettered == 0


def writer_partition(installation: Any) -> str:
    (account,) = take_stock(installation.settings).partitions
    partition: str = account.partition
    return partition


def _turn_into_a_dead_letter(store: Any, value: bytes, partition: str) -> None:
    with sqlite3.connect(store / "journal.db") as journal:
        journal.execute(
            "INSERT INTO dead_letters VALUES (?, 0, 'mapping', 'once', '2026-11-21T12:00:00+00:00', ?)",
            (partition, value),
        )
    journal.close()


def test_an_indexer_that_meets_too_much_junk_stops_unhealthy_and_says_what_to_do(installation: Any) -> None:
    writer = installation.writer()
    writer.append([[b"junk"]] * 20)
    indexer = installation.start_indexer(MAX_CONSECUTIVE_DEAD_LETTERS="10")
    assert indexer.wait(timeout=60) == 1
    assert "MAX_CONSECUTIVE_DEAD_LETTERS" in installation.log_text()
    assert take_stock(installation.settings).totals().pending == 20
    patient = installation.start_indexer(MAX_CONSECUTIVE_DEAD_LETTERS="100")
    installation.wait_until_settled()
    patient.terminate()
    assert patient.wait() == 0


def test_what_the_store_lost_is_read_again_from_the_log(installation: Any) -> None:
    writer = installation.writer()
    installation.append(writer, 500)
    indexer = installation.start_indexer()
    installation.wait_until_settled()
    indexer.terminate()
    assert indexer.wait() == 0
    for file in installation.settings.store_dir.glob("predictions-*.db*"):
        file.unlink()
    assert not take_stock(installation.settings).ok
    again = installation.start_indexer()
    installation.wait_until(lambda: take_stock(installation.settings).ok, "the lost events stored again")
    again.terminate()
    assert again.wait() == 0
    assert stored(installation) == acked(installation)


def test_what_the_log_no_longer_has_is_given_up_once_and_still_reported(installation: Any) -> None:
    writer = installation.writer()
    installation.append(writer, 5)
    writer.close()
    indexer = installation.start_indexer()
    installation.wait_until_settled()
    indexer.terminate()
    indexer.wait()
    for file in installation.settings.store_dir.glob("predictions-*.db*"):
        file.unlink()
    (folder,) = (path for path in installation.settings.log_dir.iterdir() if not path.name.startswith("."))
    segment = next(folder.glob("*.log"))
    segment.write_bytes(segment.read_bytes()[:-1])  # the one frame is torn: the log ends before it now
    for _ in range(2):
        again = installation.start_indexer()
        installation.wait_until(lambda: "indexer_started" in installation.log_text().splitlines()[-1], "started")
        again.terminate()
        assert again.wait() == 0
    assert installation.log_text().count("store_behind_offsets") == 1
    assert not take_stock(installation.settings).ok


def test_private_columns_are_nowhere_in_the_store(installation: Any) -> None:
    writer = installation.writer()
    writer.append([[b'{"features":{"passenger":"Ada"}}'], [b'"passenger":"Ada"']])
    installation.append(writer, 10)
    indexer = installation.start_indexer(PRIVATE_COLUMNS="passenger, name")
    installation.wait_until_settled()
    indexer.terminate()
    assert indexer.wait() == 0
    for file in installation.settings.store_dir.iterdir():
        assert b"Ada" not in file.read_bytes(), file


def test_a_second_indexer_on_one_folder_stops_with_the_reason(
    installation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = installation.start_indexer()
    installation.wait_until(lambda: "indexer_started" in installation.log_text(), "the first one started")
    second = installation.start_indexer()
    assert second.wait(timeout=60) == 1
    assert f"written by process {first.pid} already" in installation.log_text()
    assert first.poll() is None
