"""Which of the accepted forms a parsed body has: records or a table, whoever invented the envelope.

flat             {"petal width": 0.2, …}                              one row
records          [{…}, …], {"instances": …}, {"dataframe_records": …}, {"inputs": …}
lists            [[0.2, …], …], in the same envelopes                 columns in the signature's order
columns          {"inputs": {"petal width": [0.2, …], …}}, DataFrame.to_json(orient="columns")
split            {"dataframe_split": {"columns": […], "data": [[…], …]}}
DataFrame.to_json with any orient is a body as it stands.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.errors import FieldProblem, InvalidRowsError, MalformedBodyError
from serving.row_codec import BODY, Location
from serving.signature import got

ENVELOPES = ("instances", "inputs", "dataframe_split", "dataframe_records")
_BESIDE_ENVELOPES = frozenset({"params", "signature_name"})


@dataclass(frozen=True, slots=True)
class Records:
    """Objects of column to value (what is none of that is found out by the codec); `single`: one, not in a list."""

    records: Sequence[Any]
    loc: Location
    single: bool = False

    def __len__(self) -> int:
        return len(self.records)


@dataclass(frozen=True, slots=True)
class Table:
    """Arrays of values under common names; None means the signature's order."""

    names: Sequence[str] | None
    data: Sequence[Any]
    loc: Location

    def __len__(self) -> int:
        return len(self.data)


Shape = Records | Table


def shape_of(value: Any, known: frozenset[str]) -> Shape:
    """Recognises a parsed body.

    Args:
        value: The parsed body.
        known: Names of the model's columns.

    Raises:
        MalformedBodyError: None of the forms.
        InvalidRowsError: One of the forms with something wrong in its envelope.
    """
    if isinstance(value, list):
        return _listed(value, BODY, known)
    if not isinstance(value, dict):
        raise MalformedBodyError(
            f"the body is {got(value)}: send an object of columns, or one of {', '.join(ENVELOPES)}"
        )
    found = [name for name in ENVELOPES if isinstance(value.get(name), list | dict)]
    if not found:
        return _bare(value, known)
    if len(found) > 1:
        raise MalformedBodyError(f"the body has {' and '.join(found)}: send one of them")
    _refuse_neighbours(value, found[0])
    return _OPENERS[found[0]](value[found[0]], (*BODY, found[0]), known)


def _refuse_neighbours(body: Mapping[str, Any], envelope: str) -> None:
    problems = [
        FieldProblem((*BODY, name[:80]), f"not known beside {envelope!r}: leave it out", "extra_forbidden")
        for name in body
        if name != envelope and name not in _BESIDE_ENVELOPES
    ]
    if problems:
        raise InvalidRowsError(problems[:20])


def _bare(body: dict[str, Any], known: frozenset[str]) -> Shape:
    """An object without an envelope: one of the forms of DataFrame.to_json, else one flat record."""
    if isinstance(body.get("data"), list):
        if isinstance(body.get("columns"), list):
            return _split(body, BODY, known)
        if isinstance(body.get("schema"), dict):
            return _table_schema(body)
    containers = sum(isinstance(value, list | dict) for value in body.values())
    if body and containers == len(body):
        return _columns(body, BODY, known)
    return Records([body], BODY, single=True)


def _listed(rows: Any, loc: Location, known: frozenset[str]) -> Shape:
    if isinstance(rows, dict):
        return _columns(rows, loc, known)
    if rows and isinstance(rows[0], list):
        return Table(None, rows, loc)
    if rows and len(known) == 1 and not isinstance(rows[0], dict):
        return Table(None, [[value] for value in rows], loc)
    return Records(rows, loc)


def _columns(body: Any, loc: Location, known: frozenset[str]) -> Shape:
    """Column to values; values are arrays or, as pandas writes them, objects of index to value."""
    if isinstance(body, list):
        return _listed(body, loc, known)
    kinds = {type(values) for values in body.values()}
    if kinds == {dict}:
        if known.isdisjoint(body):
            return Records(list(body.values()), loc)
        return _transposed(body, loc, lambda column: column.keys(), lambda column: column.values())
    if kinds == {list}:
        return _transposed(body, loc, lambda column: range(len(column)), lambda column: column)
    return Records([body], loc, single=True)


def _transposed(
    body: Mapping[str, Any], loc: Location, index_of: Callable[[Any], Any], values_of: Callable[[Any], Any]
) -> Table:
    index = index_of(next(iter(body.values())))
    problems = [
        FieldProblem((*loc, name[:80]), "this column has other rows than the first: send one value per row", "ragged")
        for name, column in body.items()
        if index_of(column) != index or (isinstance(column, dict) and list(column) != list(index))
    ]
    if problems:
        raise InvalidRowsError(problems[:20])
    columns = [values_of(column) for column in body.values()]
    return Table(list(body), [list(row) for row in zip(*columns, strict=True)], loc)


def _split(body: Any, loc: Location, _known: frozenset[str]) -> Table:
    if isinstance(body, dict) and isinstance(body.get("data"), list):
        names = body.get("columns")
        if isinstance(names, list):
            return Table([str(name) for name in names], body["data"], (*loc, "data"))
        if names is None:
            return Table(None, body["data"], (*loc, "data"))
    raise InvalidRowsError(
        [FieldProblem(loc, 'expected {"columns": ["name", …], "data": [[value, …], …]}', "split_type")]
    )


def _table_schema(body: Mapping[str, Any]) -> Records:
    """DataFrame.to_json(orient="table"): records that carry the index as further columns."""
    keys = body["schema"].get("primaryKey")
    index = frozenset(key for key in keys if isinstance(key, str)) if isinstance(keys, list) else frozenset()
    records = [
        {name: value for name, value in row.items() if name not in index} if isinstance(row, dict) else row
        for row in body["data"]
    ]
    return Records(records, (*BODY, "data"))


_OPENERS: Mapping[str, Callable[[Any, Location, frozenset[str]], Shape]] = {
    "instances": _listed,
    "inputs": _columns,
    "dataframe_split": _split,
    "dataframe_records": _listed,
}
