"""The JSON Schemas of the events, generated from streaming.events: `python -m streaming.schemas`.

    prediction.v1.json  label.v1.json  control.v1.json

Rule: what is committed here is never changed incompatibly; such a change needs a higher SCHEMA_VERSION,
whose schemas are new files beside the old ones.
"""

from inspect import cleandoc
from pathlib import Path
from typing import Any

import msgspec

from streaming.events import SCHEMA_VERSION, ControlEvent, LabelEvent, PredictionEvent

FOLDER = Path(__file__).parent

Schema = dict[str, Any]

_EVENTS: dict[str, type[msgspec.Struct]] = {
    "prediction": PredictionEvent,
    "label": LabelEvent,
    "control": ControlEvent,
}


def generated() -> dict[str, Schema]:
    """The schemas of the events as they are in the code, by file name."""
    return {f"{name}.v{SCHEMA_VERSION}.json": _schema(event) for name, event in _EVENTS.items()}


def committed(folder: Path = FOLDER) -> dict[str, Schema]:
    """The schemas in the repository, by file name."""
    return {path.name: msgspec.json.decode(path.read_bytes()) for path in sorted(folder.glob("*.json"))}


def text(schema: Schema) -> str:
    """A schema as it stands in its file."""
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def _schema(event: type[msgspec.Struct]) -> Schema:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | msgspec.json.schema(event)
    for part in schema["$defs"].values():
        if "description" in part:
            part["description"] = cleandoc(part["description"])  # newer Pythons do this themselves
    return schema


def incompatibilities(old: Schema, new: Schema) -> list[str]:
    """Why readers and writers of `old` would not understand `new`; empty when they do.

    A removed field, a field newly required, and a type or set of values that does not hold everything the old
    one held are incompatible; a new optional field and a wider type are not.
    """
    problems: list[str] = []
    for name, old_object in _objects(old).items():
        new_object = _objects(new).get(name)
        if new_object is None:
            problems.append(f"{name}: removed")
        else:
            problems += [f"{name}.{problem}" for problem in _field_problems(old_object, new_object)]
    return problems


def _objects(schema: Schema) -> dict[str, Schema]:
    return {name: part for name, part in schema.get("$defs", {}).items() if "properties" in part}


def _field_problems(old: Schema, new: Schema) -> list[str]:
    before, after = old["properties"], new["properties"]
    problems = [f"{field}: removed" for field in before if field not in after]
    required = set(new.get("required", [])) - set(old.get("required", []))
    problems += [f"{field}: newly required" for field in sorted(required)]
    shared = [field for field in before if field in after]
    problems += [f"{field}: type narrowed or changed" for field in shared if not _holds(after[field], before[field])]
    return problems


def _holds(new: Schema, old: Schema) -> bool:
    """Whether every alternative of the old type is still there."""
    alternatives = _alternatives(new)
    return {} in alternatives or all(
        any(_alternative_holds(wide, narrow) for wide in alternatives) for narrow in _alternatives(old)
    )


def _alternative_holds(wide: Schema, narrow: Schema) -> bool:
    if "enum" in wide and "enum" in narrow:
        return set(narrow["enum"]) <= set(wide["enum"])
    return wide == narrow or (wide == {"type": "number"} and narrow == {"type": "integer"})


def _alternatives(schema: Schema) -> list[Schema]:
    plain = {key: value for key, value in schema.items() if key not in {"default", "description", "title"}}
    return list(plain.pop("anyOf", [plain]))
