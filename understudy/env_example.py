"""`python -m understudy.env_example` writes `.env.example` from the settings of every package."""

from itertools import groupby
from pathlib import Path

from understudy.all_settings import Setting, all_settings

HEADER = """\
# Every setting of Understudy, with its default. Copy this file to .env and take the `#` away from what you change.
# The environment wins over .env. Written by `python -m understudy.env_example`; a test compares.
"""


def env_example() -> str:
    """The text of `.env.example`."""
    sections = groupby(all_settings(), key=lambda setting: setting.section)
    return "\n".join([HEADER, *(_section(name, list(settings)) for name, settings in sections)])


def _section(name: str, settings: list[Setting]) -> str:
    lines = [f"# --- {name} ---\n"]
    for setting in settings:
        lines += [f"# {setting.description}", f"#{setting.name}={setting.default}\n"]
    return "\n".join(lines)


if __name__ == "__main__":
    Path(".env.example").write_text(env_example(), encoding="utf-8")
