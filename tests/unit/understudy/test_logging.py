import json
import logging
from collections.abc import Iterator

import pytest

from understudy.process import configure_logging
from understudy.settings import UnderstudySettings


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def test_an_event_is_one_json_object_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("loader", UnderstudySettings(log_format="json"))

    logging.getLogger("understudy.serving").info("bundle_published", extra={"model_version": "3", "path": "a b"})

    event = json.loads(capsys.readouterr().err)
    assert event.pop("time").endswith("Z")
    assert event == {
        "level": "INFO",
        "role": "loader",
        "logger": "understudy.serving",
        "event": "bundle_published",
        "model_version": "3",
        "path": "a b",
    }


def test_an_event_is_one_line_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("api", UnderstudySettings(log_format="text"))

    logging.getLogger("understudy.serving").warning("swap", extra={"version": 3, "reason": "two\nlines", "who": ""})

    line = capsys.readouterr().err
    assert line.endswith('WARNING api swap version=3 reason="two\\nlines" who=""\n')
    assert line.count("\n") == 1


def test_events_below_the_level_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("api", UnderstudySettings(log_level="WARNING"))

    logging.getLogger("understudy.serving").info("quiet")

    assert capsys.readouterr().err == ""


def test_an_exception_stays_with_its_event(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("api", UnderstudySettings(log_format="json"))
    try:
        int("broken")
    except ValueError:
        logging.getLogger("understudy.serving").exception("failed")

    assert "ValueError: invalid literal" in json.loads(capsys.readouterr().err)["exception"]
