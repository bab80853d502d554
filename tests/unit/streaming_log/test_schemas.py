from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from streaming.schemas import FOLDER, committed, generated, incompatibilities, text
from streaming.schemas.__main__ import main

PREDICTION = "prediction.v1.json"


def changed(**fields: Any) -> dict[str, Any]:
    """The prediction schema with some fields replaced; None removes one."""
    schema = deepcopy(generated()[PREDICTION])
    properties = schema["$defs"]["PredictionEvent"]["properties"]
    for name, value in fields.items():
        if value is None:
            del properties[name]
        else:
            properties[name] = value
    return schema


def test_the_files_are_what_the_events_generate() -> None:
    files = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}

    assert {name: text(schema) for name, schema in generated().items()}.items() <= files.items()


def test_the_events_still_understand_every_committed_schema_of_their_version() -> None:
    kept = committed()

    assert [incompatibilities(kept[name], schema) for name, schema in generated().items()] == [[], [], []]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"score": None}, "PredictionEvent.score: removed"),
        ({"row": {"type": "string"}}, "PredictionEvent.row: type narrowed or changed"),
        ({"score": {"type": "number"}}, "PredictionEvent.score: type narrowed or changed"),
        ({"outcome": {"enum": ["ok"]}}, "PredictionEvent.outcome: type narrowed or changed"),
    ],
)
def test_an_incompatible_change_is_named(fields: dict[str, Any], problem: str) -> None:
    assert incompatibilities(generated()[PREDICTION], changed(**fields)) == [problem]


def test_a_field_newly_required_is_incompatible() -> None:
    new = changed()
    new["$defs"]["PredictionEvent"]["required"].append("score")

    assert incompatibilities(generated()[PREDICTION], new) == ["PredictionEvent.score: newly required"]


@pytest.mark.parametrize(
    "fields",
    [
        {"brand_new": {"type": "string"}},
        {"row": {"type": "number"}},
        {"outcome": {"enum": ["ok", "error", "skipped"]}},
        {"score": {"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]}},
    ],
)
def test_a_wider_schema_is_compatible(fields: dict[str, Any]) -> None:
    assert incompatibilities(generated()[PREDICTION], changed(**fields)) == []


def test_an_incompatible_schema_is_never_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    older = changed(was_there_once={"type": "string"})
    (tmp_path / PREDICTION).write_text(text(older), encoding="utf-8")

    assert main(tmp_path) == 1
    assert "PredictionEvent.was_there_once: removed" in capsys.readouterr().err
    assert (tmp_path / PREDICTION).read_text(encoding="utf-8") == text(older)


def test_generating_twice_changes_nothing(tmp_path: Path) -> None:
    assert (main(tmp_path), main(tmp_path)) == (0, 0)
    assert committed(tmp_path) == generated()
