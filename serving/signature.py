"""A model's input columns, typed, and whether a value fits one."""

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import msgspec

from serving.errors import FieldProblem
from serving.protocol.json_body import NonFinite

UNKNOWN_FIELD = "extra_forbidden"
LARGEST_EXACT_INTEGER = 2**53
"""Beyond it neighbouring integers are one float64: the model would not see the number that was sent."""


class Column(msgspec.Struct, frozen=True):
    """One input column.

    Attributes:
        kind: `float` (null allowed, becomes NaN), `integer`, `boolean`, `string`.
        nullable: Whether null is allowed; always true for `float`.
        dtype: The type the model was logged with (`double`, `float`, `long`, `integer`, `string`, `boolean`),
            to rebuild its DataFrame.
    """

    name: str
    kind: Literal["float", "integer", "boolean", "string"]
    nullable: bool = False
    dtype: str = "double"

    @property
    def takes_null(self) -> bool:
        """Whether null is a value of this column."""
        return self.nullable or self.kind == "float"


class Signature(msgspec.Struct, frozen=True):
    """The columns in the model's order. `positional`: the model was trained without names (columns are "0", "1", …)."""

    columns: tuple[Column, ...]
    positional: bool = False

    @property
    def number_columns(self) -> tuple[Column, ...]:
        """Columns of `Rows.numbers`, in its order."""
        return tuple(column for column in self.columns if column.kind != "string")

    @property
    def string_columns(self) -> tuple[Column, ...]:
        """Columns of `Rows.strings`, in its order."""
        return tuple(column for column in self.columns if column.kind == "string")


class Misfit(Exception):  # noqa: N818 - not an error of this package: always turned into a FieldProblem
    """Why one value does not fit its column."""

    def __init__(self, msg: str, kind: str) -> None:
        super().__init__(msg)
        self.kind = kind


def fit(column: Column, value: Any) -> Any:
    """The value as the column holds it. Strings are never turned into numbers, nor numbers into booleans.

    Raises:
        Misfit: With what was expected and what came.
    """
    if value is None:
        if column.takes_null:
            return None
        raise Misfit(f"null is not allowed in this column: send {_EXPECTED[column.kind]}", "null_not_allowed")
    if isinstance(value, NonFinite):
        raise Misfit(f"{value.text} is not a JSON number: {_instead(column)}", "finite_number")
    return _FITS[column.kind](column, value)


def row_problems(
    columns: Sequence[Column], record: Mapping[Any, Any], loc: tuple[str | int, ...], *, known: frozenset[str] | None
) -> Iterator[FieldProblem]:
    """Every reason why the record is not a row: missing, misfitting and unknown fields, in that order.

    Args:
        columns: What the model needs.
        record: Column to value.
        loc: Where the record stands in the body.
        known: Further names that are allowed; None allows all.
    """
    for column in columns:
        if column.name not in record:
            yield FieldProblem((*loc, column.name), "this field is required: add it", "missing")
    for column in columns:
        if column.name in record:
            try:
                fit(column, record[column.name])
            except Misfit as misfit:
                yield FieldProblem((*loc, column.name), str(misfit), misfit.kind)
    if known is not None:
        names = {column.name for column in columns}
        for name in record:
            if name not in names and name not in known:
                yield unknown_field(name, loc)


def unknown_field(name: Any, loc: tuple[str | int, ...]) -> FieldProblem:
    """The model has no such column."""
    return FieldProblem((*loc, _shortened(str(name), 80)), "the model has no such field: leave it out", UNKNOWN_FIELD)


def with_suggestion(problem: FieldProblem, candidates: Sequence[str]) -> FieldProblem:
    """The same problem of an unknown field, naming the column that was probably meant."""
    near = difflib.get_close_matches(str(problem.loc[-1]), candidates, n=1)
    return replace(problem, msg=f"the model has no such field: did you mean {near[0]!r}?") if near else problem


def got(value: Any) -> str:
    """A value in JSON's words, short enough for a message."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f"the string {_shortened(value, 40)!r}"
    if isinstance(value, int | float):
        return f"the number {_number_text(value)}"
    if isinstance(value, list | tuple):
        return "an array"
    return "an object" if isinstance(value, Mapping) else _shortened(repr(value), 40)


def _float(column: Column, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong_type(column, value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise Misfit(f"{got(value)} is too large for a double: {_instead(column)}", "finite_number")
    return number


def _integer(column: Column, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong_type(column, value)
    if isinstance(value, float) and not value.is_integer():
        raise Misfit(f"expected an integer, got {got(value)}: {_instead(column)}", "int_from_float")
    if abs(value) > LARGEST_EXACT_INTEGER:
        raise Misfit(
            f"{got(value)} is beyond ±2**53, where integers are no longer exact: use a string column for identifiers",
            "int_too_large",
        )
    return int(value)


def _boolean(column: Column, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong_type(column, value)
    return value


def _string(column: Column, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong_type(column, value)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Misfit("the string has half a Unicode surrogate pair: send whole characters", "string_unicode") from error
    return value


_EXPECTED = {"float": "a number", "integer": "an integer", "boolean": "true or false", "string": "a string"}
_TYPES = {"float": "float_type", "integer": "int_type", "boolean": "bool_type", "string": "string_type"}
_FITS = {"float": _float, "integer": _integer, "boolean": _boolean, "string": _string}
_NOT_NUMBERS = frozenset({"nan", "inf", "infinity", "null", "none", "na", "n/a", ""})


def _wrong_type(column: Column, value: Any) -> Misfit:
    return Misfit(f"expected {_EXPECTED[column.kind]}, got {got(value)}{_hint(column, value)}", _TYPES[column.kind])


def _hint(column: Column, value: Any) -> str:
    if not isinstance(value, str) or column.kind == "string":
        return ""
    word = value.strip().lstrip("+-").lower()
    if word in _NOT_NUMBERS:
        return f": {_instead(column)}"
    return ": leave out the quotes" if word in {"true", "false"} or word[:1].isdigit() else ""


def _instead(column: Column) -> str:
    return "send null" if column.takes_null else f"send {_EXPECTED[column.kind]}"


def _shortened(text: str, length: int) -> str:
    safe = text.encode(errors="replace").decode()
    return safe if len(safe) <= length else f"{safe[:length]}…"


def _number_text(value: float) -> str:
    # The text of a huge integer takes quadratic time, and Python refuses it beyond 4,300 digits.
    if isinstance(value, int) and abs(value) > 10**30:
        return f"of about {value.bit_length() * 0.30103:.0f} digits"
    return repr(value)
