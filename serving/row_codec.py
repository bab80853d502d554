"""JSON to typed rows and back to what an engine takes, by signature."""

import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from serving.errors import FieldProblem, InvalidRowsError
from serving.protocol.json_body import parse
from serving.rows import Rows
from serving.signature import (
    LARGEST_EXACT_INTEGER,
    UNKNOWN_FIELD,
    Column,
    Signature,
    fit,
    got,
    row_problems,
    unknown_field,
    with_suggestion,
)

Location = tuple[str | int, ...]
BODY: Location = ("body",)
MOST_PROBLEMS = 200
"""Problems told of one body; a table that is wrong throughout is not worth megabytes of messages."""

_REFUSALS = (msgspec.DecodeError, UnicodeError, RecursionError)
_MOST_SUGGESTIONS = 5
_MOST_SEARCHED = 1000
_astuple = msgspec.structs.astuple
_Integer = Annotated[int, msgspec.Meta(ge=-LARGEST_EXACT_INTEGER, le=LARGEST_EXACT_INTEGER)]
_TYPES: dict[str, Any] = {"float": float, "integer": _Integer, "boolean": bool, "string": str}
_AnyScalar = str | int | float | bool | None | msgspec.UnsetType


class RowCodec:
    """Decodes rows of one signature.

    A decoded row is a struct of the number columns, then the string columns (each in signature order), then the
    extra columns. Encoded with msgspec it is the `features` of the event: the caller's own names, null for null.
    Of duplicate keys in an object the last wins.

    Args:
        signature: What the model needs.
        extra_columns: What another loaded role knows: kept for the event as sent (any scalar), never required and
            never checked, so that a shadow cannot make a request fail.
        ignore_unknown: Drop fields nobody knows instead of refusing them.

    Raises:
        ValueError: A column's name occurs twice, or has a control character, quote or backslash in it.
    """

    row_type: type[msgspec.Struct]

    def __init__(
        self, signature: Signature, *, extra_columns: Sequence[Column] = (), ignore_unknown: bool = False
    ) -> None:
        self.signature = signature
        self.columns = signature.number_columns + signature.string_columns
        names = {column.name for column in self.columns}
        self._extras = tuple(dict.fromkeys(column.name for column in extra_columns if column.name not in names))
        self.known = frozenset(names.union(self._extras))
        self._allowed = None if ignore_unknown else frozenset(self._extras)
        self._numbers = len(signature.number_columns)
        self._width = len(self.columns)
        self._pack = struct.Struct(f"{self._numbers}d").pack
        self._only_numbers = self._numbers == self._width and not self._extras
        self.row_type = _row_type(self.columns, self._extras)
        self._strict = self.row_type
        if not ignore_unknown:
            self._strict = msgspec.defstruct(
                "StrictRow", [], bases=(self.row_type,), forbid_unknown_fields=True, gc=False
            )
        self._decode = msgspec.json.Decoder(self._strict).decode

    def decode_flat(self, body: bytes) -> msgspec.Struct:
        """One row from one flat JSON object.

        Raises:
            MalformedBodyError: Not JSON.
            TooLargeError: Nested beyond all reason.
            InvalidRowsError: With every bad field.
        """
        try:
            return self._decode(body)
        except _REFUSALS:
            return self._fitted([parse(body)], [BODY])[0]

    def try_flat(self, body: bytes) -> msgspec.Struct | None:
        """One row if the body is exactly that, else None; does not say why."""
        try:
            return self._decode(body)
        except _REFUSALS:
            return None

    def from_record(self, record: Any, *, loc: Location = BODY) -> msgspec.Struct:
        """One row from one parsed object, which stands at `loc`.

        Raises:
            InvalidRowsError: With every bad field.
        """
        return self._converted([record], [loc])[0]

    def from_records(self, records: Sequence[Any], *, loc: Location = BODY) -> list[msgspec.Struct]:
        """Rows from parsed objects of column to value.

        Raises:
            InvalidRowsError: With every bad field of every row (the first 200).
        """
        return self._converted(records, ((*loc, index) for index in range(len(records))))

    def from_table(
        self, names: Sequence[Any] | None, data: Sequence[Any], *, loc: Location = BODY
    ) -> list[msgspec.Struct]:
        """Rows from arrays of values under common column names; without names, in signature order.

        Raises:
            InvalidRowsError: With every bad name, row length and value.
        """
        header = [column.name for column in self.signature.columns] if names is None else [str(name) for name in names]
        width = len(header)
        self._refuse(self._header_problems(header, (*loc, "columns")))
        self._refuse(
            _length_problem(row, width, (*loc, index))
            for index, row in enumerate(data)
            if type(row) is not list or len(row) != width
        )
        return self.from_records([dict(zip(header, row, strict=True)) for row in data], loc=loc)

    def from_features(self, features: Mapping[str, Any]) -> msgspec.Struct:
        """One row from the `features` of a recorded event; columns this model does not have are left out.

        Raises:
            InvalidRowsError: A column is missing or its value does not fit.
        """
        try:
            return msgspec.convert(features, self.row_type)
        except _REFUSALS:
            known = {name: value for name, value in features.items() if name in self.known}
            return self._fitted([known], [("features",)])[0]

    def rows(self, decoded: Sequence[msgspec.Struct]) -> Rows:
        """What an engine takes: null numbers are NaN, booleans 0 and 1."""
        tuples = [_astuple(row) for row in decoded]
        strings: list[tuple[str | None, ...]] = [()] * len(tuples)
        if not self._only_numbers:
            strings = [row[self._numbers : self._width] for row in tuples]
            tuples = [row[: self._numbers] for row in tuples]
        return Rows(self._matrix(tuples), strings)

    def _matrix(self, tuples: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        if len(tuples) != 1 or not self._numbers:
            return np.array(tuples, np.float64).reshape(len(tuples), self._numbers)
        try:  # the usual row: half the time of np.array
            return np.frombuffer(self._pack(*tuples[0])).reshape(1, self._numbers)
        except struct.error:  # a null
            return np.array(tuples, np.float64)

    def _converted(self, records: Sequence[Any], locs: Iterable[Location]) -> list[msgspec.Struct]:
        try:
            return msgspec.convert(records, list[self._strict])  # type: ignore[name-defined]
        except _REFUSALS:
            return self._fitted(records, locs)

    def _fitted(self, records: Sequence[Any], locs: Iterable[Location]) -> list[msgspec.Struct]:
        """The slow path: takes what the strict types refuse but the contract allows (3.0 for 3), and names the rest."""
        self._refuse(
            chain.from_iterable(self._problems(record, loc) for record, loc in zip(records, locs, strict=False))
        )
        return [self._built(record) for record in records]

    def _problems(self, record: Any, loc: Location) -> Iterable[FieldProblem]:
        if not isinstance(record, Mapping):
            return [FieldProblem(loc, f"expected an object of column to value, got {got(record)}", "object_type")]
        return chain(
            row_problems(self.columns, record, loc, known=self._allowed),
            (
                FieldProblem((*loc, name), f"expected a single value, got {got(record[name])}", "scalar_type")
                for name in self._extras
                if name in record and not _is_scalar(record[name])
            ),
        )

    def _refuse(self, problems: Iterable[FieldProblem]) -> None:
        found = list(islice(problems, MOST_PROBLEMS + 1))
        if len(found) > MOST_PROBLEMS:
            found[-1] = FieldProblem(BODY, f"only the first {MOST_PROBLEMS} problems are listed", "more_problems")
        if found:
            raise InvalidRowsError(_suggesting(found, self.columns))

    def _built(self, record: Mapping[str, Any]) -> msgspec.Struct:
        values = [fit(column, record[column.name]) for column in self.columns]
        return self._strict(*values, *(record.get(name, msgspec.UNSET) for name in self._extras))

    def _header_problems(self, header: Sequence[str], loc: Location) -> Iterable[FieldProblem]:
        present = set(header)
        for column in self.columns:
            if column.name not in present:
                yield FieldProblem((*loc, column.name), "this column is required: add it", "missing")
        for name in header if self._allowed is not None else ():
            if name not in self.known:
                yield unknown_field(name, loc)
        if len(present) != len(header):
            twice = next(name for name, count in Counter(header).items() if count > 1)
            yield FieldProblem((*loc, twice), "this column occurs twice: name each once", "duplicate_column")


def _row_type(columns: Sequence[Column], extras: Sequence[str]) -> type[msgspec.Struct]:
    names = [column.name for column in columns]
    if len(set(names)) != len(names):
        raise ValueError("a column name occurs twice in the signature: rename one and register the model again")
    fields: list[Any] = [
        (f"f{index}", _TYPES[column.kind] | None if column.takes_null else _TYPES[column.kind])
        for index, column in enumerate(columns)
    ]
    fields += [(f"f{len(columns) + index}", _AnyScalar, msgspec.UNSET) for index in range(len(extras))]
    renames = {f"f{index}": name for index, name in enumerate([*names, *extras])}
    return msgspec.defstruct("Row", fields, rename=renames, gc=False)


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _length_problem(row: Any, width: int, loc: Location) -> FieldProblem:
    if not isinstance(row, list):
        return FieldProblem(loc, f"expected an array of {width} values, got {got(row)}", "list_type")
    return FieldProblem(loc, f"expected {width} values, one per column, got {len(row)}", "wrong_length")


def _suggesting(problems: Sequence[FieldProblem], columns: Sequence[Column]) -> list[FieldProblem]:
    """Looks for the nearest column of the first few unknown fields only: each search costs milliseconds."""
    unknown = [problem for problem in problems if problem.type == UNKNOWN_FIELD][:_MOST_SUGGESTIONS]
    better = {}
    for problem in unknown:
        missing = [
            str(other.loc[-1]) for other in problems if other.type == "missing" and other.loc[:-1] == problem.loc[:-1]
        ]
        better[problem] = with_suggestion(problem, missing or [column.name for column in columns[:_MOST_SEARCHED]])
    return [better.get(problem, problem) for problem in problems]
