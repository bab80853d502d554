"""What MODELS asks for: `name`, `name@alias` or `name/version`."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

PRODUCTION = "production"
"""The role that answers callers, whatever its alias is called."""
_SPEC = re.compile(r"(?P<name>[^@/\s]+)(?:@(?P<alias>[^@/\s]+)|/(?P<version>[0-9]+))?")


@dataclass(frozen=True)
class ModelSpec:
    """One model to serve: production is the version of `alias`, or `version` where that is given."""

    name: str
    alias: str
    version: str | None = None

    def wanted(self, aliases: Mapping[str, str], shadow_aliases: Iterable[str]) -> dict[str, str]:
        """Role to version as the registry says; a role nobody has is absent.

        >>> ModelSpec("churn", "live").wanted({"live": "3", "dark": "4"}, ["dark", "darker"])
        {'production': '3', 'dark': '4'}
        """
        production = self.version or aliases.get(self.alias)
        shadows = {alias: aliases[alias] for alias in shadow_aliases if alias in aliases}
        return ({PRODUCTION: production} if production else {}) | shadows


def parse_specs(entries: Sequence[str], production_alias: str) -> list[ModelSpec]:
    """Reads the entries of MODELS.

    Raises:
        ValueError: An entry is none of the three forms, or a model is named twice.

    >>> parse_specs(["flights", "churn@staging", "fraud/7"], "production")[1:]
    [ModelSpec(name='churn', alias='staging', version=None), ModelSpec(name='fraud', alias='production', version='7')]
    """
    specs: dict[str, ModelSpec] = {}
    for entry in entries:
        match = _SPEC.fullmatch(entry)
        if match is None:
            raise ValueError(f"MODELS: {entry!r} is not a model: write name, name@alias or name/version")
        if match["name"] in specs:
            raise ValueError(f"MODELS names {match['name']!r} twice: keep one of the entries")
        specs[match["name"]] = ModelSpec(match["name"], match["alias"] or production_alias, match["version"])
    return list(specs.values())
