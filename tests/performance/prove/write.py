"""Figures into docs/benchmarks.md, each proof in a section of its own."""

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path

from prove.bars import Result, number

PAGE = Path(__file__).parents[3] / "docs" / "benchmarks.md"


def write(result: Result) -> None:
    """Replaces the proof's section."""
    text = PAGE.read_text()
    start, end = f"<!-- prove:{result.name} -->", f"<!-- /prove:{result.name} -->"
    if start not in text:
        text = f"{text.rstrip()}\n\n{start}\n{end}\n"
    pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    PAGE.write_text(pattern.sub(lambda _: f"{start}\n{section(result)}\n{end}", text))


def section(result: Result) -> str:
    """The section's Markdown."""
    day = datetime.now(UTC).date().isoformat()
    rows = [
        f"| {figure.name} | {number(figure.value)} {figure.unit} | {figure.kind} {number(figure.bar)} {figure.unit} "
        f"| {'met' if figure.met else '**not met**'} |"
        for figure in result.figures
    ]
    return "\n".join(
        [
            f"## {result.name}",
            "",
            f"`scripts/prove {result.name}`, {day}, {machine()}",
            "",
            "| figure | measured | bar | |",
            "|---|---|---|---|",
            *rows,
            "",
            *(f"- {note}" for note in result.notes),
        ]
    )


def machine() -> str:
    """What it was measured on, in a few words."""
    return (
        f"{os.cpu_count()} shared cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )
