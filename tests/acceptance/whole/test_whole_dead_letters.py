"""An event nobody can read: set aside with its reason, accounted for, and never in the way of others."""

from pathlib import Path
from typing import Any

import pytest

from streaming.segments import open_segment_log
from streaming.settings import StreamingSettings

pytestmark = pytest.mark.slow
Whole = Any  # of conftest.py, which no test can import
JUNK = b'{"type":"prediction","@timestamp":"yesterday"'


def append(folder: Path, value: bytes) -> None:
    writer = open_segment_log(StreamingSettings(data_dir=folder)).writer()
    try:
        writer.append([[value]])
    finally:
        writer.close()


def test_a_corrupt_event_is_set_aside_listed_and_stays_dead(whole: Whole) -> None:
    append(whole.folder, JUNK)
    whole.ask("/predict", whole.example())
    account = whole.settle()

    (letter,) = whole.told("dlq", "list")
    redriven = whole.understudy("dlq", "redrive")

    assert (letter["reason"], letter["bytes"]) == ("corrupt_event", len(JUNK))
    assert account["ok"]
    assert account["totals"]["dead_lettered"] == 1
    assert redriven.returncode == 1
    assert "1 offered: 0 stored, 0 stored before, 1 refused again" in redriven.stdout
    assert len(whole.told("dlq", "list")) == 1
    (finding,) = whole.told("status")["findings"]
    assert finding["fix"] == "understudy dlq list"
    assert whole.understudy("status").returncode == 0  # no caller is affected
