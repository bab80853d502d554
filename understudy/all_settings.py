"""Every setting of every package, for `.env.example` and for a person who asks."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from serving.settings import ServingSettings
from streaming.settings import StreamingSettings
from understudy.settings import UnderstudySettings
from versioning.settings import VersioningSettings

SECTIONS: Final[tuple[tuple[str, type[BaseSettings]], ...]] = (
    ("The machine (understudy)", UnderstudySettings),
    ("Answering (serving)", ServingSettings),
    ("Events, log and store (streaming)", StreamingSettings),
    ("Registry and trust (versioning)", VersioningSettings),
)


class Setting(NamedTuple):
    """One environment variable.

    Attributes:
        default: As it would be written in `.env`; empty when there is none.
    """

    section: str
    name: str
    default: str
    description: str


def all_settings() -> Iterator[Setting]:
    """Each variable once, in the first section that has it."""
    seen: set[str] = set()
    for section, settings in SECTIONS:
        for field_name, field in settings.model_fields.items():
            name = field_name.upper()
            if name not in seen:
                seen.add(name)
                yield Setting(section, name, _written(field), field.description or "")


def _written(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ",".join(str(part) for part in value)
    return str(value)
