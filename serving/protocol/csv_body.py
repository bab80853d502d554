"""CSV text to a table of typed values."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from serving.errors import MalformedBodyError
from serving.protocol.body_shapes import Table
from serving.row_codec import BODY
from serving.signature import Column, Signature

_NULLS = frozenset({"", "nan", "na", "n/a", "null", "none", "<na>"})
_BOOLEANS = {"true": True, "false": False}


def csv_table(body: bytes, signature: Signature) -> Table:
    """A CSV file with a header line. An empty cell is null where the column takes null.

    What does not read as its column's type stays text, for the codec to name.

    Raises:
        MalformedBodyError: Not CSV in UTF-8.
    """
    try:
        lines = [row for row in csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True) if row]
    except UnicodeDecodeError as error:
        raise MalformedBodyError(f"the body is not UTF-8: bad byte at position {error.start}") from error
    except csv.Error as error:
        raise MalformedBodyError(f"the body is not CSV: {error}") from error
    if not lines:
        raise MalformedBodyError("the body is empty: send a header line with the columns, then one line per row")
    columns = {column.name: column for column in signature.columns}
    header = lines[0]
    typed = [columns.get(name) for name in header]
    return Table(header, [_cells(typed, row) for row in lines[1:]], BODY)


def _cells(columns: Sequence[Column | None], row: Sequence[str]) -> list[Any]:
    if len(row) != len(columns):
        return list(row)
    return [text if column is None else _cell(column, text) for column, text in zip(columns, row, strict=True)]


def _cell(column: Column, text: str) -> Any:
    if column.kind == "string":
        return None if text == "" and column.nullable else text
    word = text.strip().lower()
    if column.takes_null and word in _NULLS:
        return None
    if column.kind == "boolean":
        return _BOOLEANS.get(word, text)
    return _number(text)


def _number(text: str) -> Any:
    if "_" in text:  # Python would read 1_000 as a number
        return text
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text
