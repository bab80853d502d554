"""Tables and JSON. A table's columns and the keys of its JSON objects have the same names."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table


def print_table(rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str) -> None:
    """Prints rows, all with the same keys: a list of objects, or a table, or the `empty` line."""
    if as_json:
        print_json(rows)
        return
    console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 200)
    if not rows:
        console.print(empty, markup=False)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(name, justify="right" if _is_number(rows[0][name]) else "left", overflow="fold")
    for row in rows:
        table.add_row(*(shown(value) for value in row.values()))
    console.print(table)


def print_json(value: Any) -> None:
    """Prints one JSON document."""
    sys.stdout.write(json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n")


def shown(value: Any) -> str:
    """A value as people read it in a table."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(shown(part) for part in value)
    return str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
