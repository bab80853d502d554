"""Synthetic values drawn from a column's counts."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from versioning.profile_columns import ColumnProfile
from versioning.profile_values import Dtype

_FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)


def sample_column(column: ColumnProfile, rows: int, random: np.random.Generator) -> list[Any]:
    """Draws `rows` values of the column's JSON type; None as often as the reference missed them."""
    weights = np.asarray(column.counts, dtype=np.float64)
    if weights.sum() == 0:
        return [None] * rows
    slots = random.choice(len(weights), size=rows, p=weights / weights.sum())
    within = random.random(rows)
    return [_value(column, int(slot), float(place)) for slot, place in zip(slots, within, strict=True)]


def _value(column: ColumnProfile, slot: int, place: float) -> Any:
    if slot == len(column.counts) - 1:
        return None
    match column.kind:
        case "number":
            return _number(column, slot, place)
        case "category":
            return _category(column, slot)
        case "text":
            return _text(int(_within(column.edges, slot, place)))
        case "identifier":
            return int(place * 1e6) if column.dtype == "integer" else f"id-{int(place * 1e6)}"
        case "time":
            moment = _FIRST_DAY + timedelta(seconds=int(place * 86_400))
            return moment.isoformat()


def _number(column: ColumnProfile, slot: int, place: float) -> float | int | bool:
    value = _within(column.edges, slot, place)
    if column.dtype == "float":
        return value
    whole = math.floor(value)
    return bool(whole) if column.dtype == "boolean" else whole


def _within(edges: Sequence[float], slot: int, place: float) -> float:
    """Half of the time the bin's lower edge, a value that occurred; otherwise anywhere in the bin."""
    if not edges:  # the reference held infinite values only
        return 0.0
    low, high = edges[max(slot - 1, 0)], edges[min(slot, len(edges) - 1)]
    return low if place < 0.5 else min(low + (high - low) * (2 * place - 1), math.nextafter(high, low))


def _category(column: ColumnProfile, slot: int) -> str | int | float | bool:
    if slot < len(column.categories):
        return _typed(column.categories[slot], column.dtype)
    return "unseen" if column.dtype == "string" else _typed(column.categories[0], column.dtype)


def _typed(text: str, dtype: Dtype) -> str | int | float | bool:
    match dtype:
        case "boolean":
            return text == "true"
        case "integer":
            return int(text)
        case "float":
            return float(text)
        case _:
            return text


def _text(characters: int) -> str:
    """Filler of exactly this length, with a blank after every few letters."""
    return ("word " * (characters // 5 + 1))[:characters]
