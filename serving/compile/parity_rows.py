"""The rows on which the compiled model has to answer like the original: typical ones, and the ones that go wrong."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from serving.rows import Rows
from serving.signature import Column, Signature

Row = dict[str, Any]
STRANGE_WORDS: Final = ("", " ", "None", "nan", "naïve-Straße-東京-🛫", "a word that was never seen")
_LARGE: Final = {"integer": (2**24 + 1, -(2**24 + 3), 2**31 - 1), "long": (2**24 + 1, -(2**24 + 3), 2**40 + 1)}
_BASE_ROWS: Final = 200


@dataclass(frozen=True)
class RowGroup:
    """Rows of one kind; `column` is the one that is odd, where there is one."""

    kind: str
    rows: Rows
    column: str | None = None


def as_rows(signature: Signature, rows: Sequence[Mapping[str, Any]]) -> Rows:
    """Mappings of column to value (null or absent: None) → `Rows`."""
    numbers = [
        [np.nan if row.get(column.name) is None else float(row[column.name]) for column in signature.number_columns]
        for row in rows
    ]
    strings = [tuple(_word(row.get(column.name)) for column in signature.string_columns) for row in rows]
    return Rows(np.array(numbers, dtype=np.float64).reshape(len(rows), len(signature.number_columns)), strings)


def take(rows: Rows, indices: Sequence[int]) -> Rows:
    """Some of the rows, in that order."""
    return Rows(rows.numbers[list(indices)], [rows.strings[index] for index in indices])


def _word(value: object) -> str | None:
    return None if value is None else str(value)


def base_rows(
    signature: Signature, known: Sequence[Row], words: Mapping[str, Sequence[str]], *, seed: int = 0
) -> list[Row]:
    """Up to 200 valid rows: the known ones as they are, then perturbations of them, or of nothing where none is known."""
    random = np.random.default_rng(seed)
    valid = [row for row in known if all(_fits(column, row) for column in signature.columns)]
    rows = [{column.name: row[column.name] for column in signature.columns} for row in valid[:_BASE_ROWS]]
    while len(rows) < _BASE_ROWS:
        start: Row = valid[len(rows) % len(valid)] if valid else {}
        rows.append({column.name: _vary(column, start, words, random) for column in signature.columns})
    return rows


def _fits(column: Column, row: Row) -> bool:
    """Whether a caller could send the row's value: profiles are drawn column by column and know no signature."""
    value = row.get(column.name)
    if value is None:
        return column.name in row and (column.nullable or column.kind == "float")
    if column.kind == "string":
        return isinstance(value, str)
    number = isinstance(value, (bool, int, float, np.number, np.bool_))
    return number and (column.kind == "float" or float(value).is_integer())


def _vary(column: Column, start: Row, words: Mapping[str, Sequence[str]], random: np.random.Generator) -> Any:
    value = start.get(column.name)
    if column.kind == "string":
        known = [*words.get(column.name, ())] or ["word"]
        return value if value is not None and random.random() < 0.3 else str(random.choice(known))
    if column.kind == "boolean":
        return bool(random.integers(2))
    if value is None:
        near = float(random.normal() * 10.0 ** random.integers(-1, 4))
    else:
        near = float(value) * float(random.normal(1, 0.5)) + float(random.normal())
    return round(near) if column.kind == "integer" else near


def groups(
    signature: Signature, base: Sequence[Row], base_kind: str, words: Mapping[str, Sequence[str]]
) -> list[RowGroup]:
    """Every kind of row of the proof. The first group is the base."""
    found = [RowGroup(base_kind, as_rows(signature, base))]
    # A row that is odd in one column is whole in the others: what null means is found column by column.
    base = [row for row in base if not any(value is None for value in row.values())] or base
    for column in signature.columns:
        for kind, values in _odd_values(column, words.get(column.name, ())):
            rows = [{**base[index % len(base)], column.name: value} for index, value in enumerate(values)]
            found.append(RowGroup(kind, as_rows(signature, rows), column.name))
    nulls = [{name: None if _nullable(signature, name) else value for name, value in row.items()} for row in base[:2]]
    return [*(group for group in found if len(group.rows)), RowGroup("all_null", as_rows(signature, nulls))]


def _nullable(signature: Signature, name: str) -> bool:
    return any(column.name == name and (column.nullable or column.kind == "float") for column in signature.columns)


def _odd_values(column: Column, words: Sequence[str]) -> Iterator[tuple[str, Sequence[Any]]]:
    if column.nullable or column.kind == "float":
        yield "nulls", [None, None]
    if column.kind == "string":
        yield "unseen", STRANGE_WORDS
        yield "categories", words[:500]
    if column.kind == "integer":
        yield "large_integers", _LARGE.get(column.dtype, _LARGE["long"])
    if column.kind == "float":
        yield "extremes", [0.0, -1e3, 1e6, 0.1 + 0.2]


def replace_null(signature: Signature, rows: Rows, column: str, word: str) -> Rows:
    """The rows with `word` where the string column is null."""
    at = [each.name for each in signature.string_columns].index(column)
    strings = [tuple(word if i == at and v is None else v for i, v in enumerate(row)) for row in rows.strings]
    return Rows(rows.numbers, strings)


def quartile_range(values: NDArray[np.float64]) -> float:
    """Interquartile range of reference predictions; their spread where it is 0, and 1e-9 at least."""
    low, high = np.percentile(values, [25, 75])
    return max(float(high - low), float(np.std(values)) * 1e-3, float(np.abs(values).max()) * 1e-6, 1e-9)
