"""Values of a column before they are counted: their type, their kind, and their text as a category."""

import math
import re
import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["number", "category", "text", "identifier", "time"]
Dtype = Literal["float", "integer", "boolean", "string", "time"]
Values = Sequence[Any] | NDArray[Any]

_MAX_INTEGER_CATEGORIES = 50
_IDENTIFIER_ROWS = 100
_IDENTIFIER_SHARE = 0.9
_TEXT_WORDS = 3
_WORD = re.compile(r"\w+")


def category_text(value: Any) -> str | None:
    """A value as a category: whole numbers without their fraction, booleans as JSON writes them; None if missing.

    >>> [category_text(value) for value in (3.0, 3, True, "ä", float("nan"))]
    ['3', '3', 'true', 'ä', None]
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def dtype_of(values: Values) -> Dtype:
    """The JSON type of a column's values; missing ones say nothing, and a column of those alone is float."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiubM":
        names: dict[str, Dtype] = {"f": "float", "i": "integer", "u": "integer", "b": "boolean", "M": "time"}
        return names[values.dtype.kind]
    types = {type(value) for value in present_values(values)}
    if types <= {bool, np.bool_} and types:
        return "boolean"
    if types and all(issubclass(kind, int | np.integer) for kind in types):
        return "integer"
    if all(issubclass(kind, int | float | np.number) for kind in types):
        return "float"
    return "time" if all(issubclass(kind, datetime | np.datetime64) for kind in types) else "string"


def guess_kind(name: str, values: Values) -> Kind:
    """Guesses how a column is to be folded; print it and let the owner overrule.

    Strings are categories unless nearly every row has its own (identifier), they are ISO 8601 times, or they
    are sentences (three words and more, over 50 different ones: text). Integers with at most 50 values are
    categories; integers that number the rows or are called an id are identifiers.
    """
    match dtype_of(values):
        case "time":
            return "time"
        case "boolean":
            return "category"
        case "float":
            return "number"
        case "integer":
            return _integer_kind(name, present_values(values))
        case "string":
            return _string_kind([str(value) for value in present_values(values)])


def words_of(values: Iterable[Any]) -> list[list[int]]:
    """Per present value, the CRC-32 of its words in lower case."""
    return [[zlib.crc32(word.encode()) for word in _WORD.findall(str(value).lower())] for value in values]


def plain_values(values: Values) -> Sequence[Any]:
    """As Python values: numpy's own booleans, integers and floats would each need a case of their own."""
    if isinstance(values, np.ndarray):
        plain: list[Any] = (values.astype("datetime64[us]") if values.dtype.kind == "M" else values).tolist()
        return plain
    return values


def present_values(values: Values) -> list[Any]:
    """Those that are there."""
    return [value for value in plain_values(values) if category_text(value) is not None]


def _integer_kind(name: str, present: Sequence[int]) -> Kind:
    if len(set(present)) <= _MAX_INTEGER_CATEGORIES:
        return "category"
    dense = max(present) - min(present) < 1.5 * len(present)
    named = re.search(r"(^|_)id$", name.lower()) is not None
    return "identifier" if _one_each(present) and (dense or named) else "number"


def _string_kind(present: Sequence[str]) -> Kind:
    if all(_is_iso_time(text) for text in present[:50]):
        return "time"
    words = float(np.mean([len(_WORD.findall(text)) for text in present[:1000]]))
    if words >= _TEXT_WORDS and len(set(present)) > _MAX_INTEGER_CATEGORIES:
        return "text"
    return "identifier" if _one_each(present) else "category"


def _one_each(present: Sequence[Any]) -> bool:
    return len(present) >= _IDENTIFIER_ROWS and len(set(present)) >= _IDENTIFIER_SHARE * len(present)


def _is_iso_time(text: str) -> bool:
    if len(text) < 10:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
