"""Bodies of `/predict` to rows."""

from collections.abc import Sized

import msgspec

from serving.errors import FieldProblem, InvalidRowsError, TooLargeError
from serving.protocol.body_shapes import Records, Shape, shape_of
from serving.protocol.json_body import MAX_DEPTH, parse
from serving.row_codec import Location, RowCodec


def decode_predict(body: bytes, codec: RowCodec, *, max_rows: int, max_depth: int = MAX_DEPTH) -> list[msgspec.Struct]:
    """Rows of a body in any of the forms of `body_shapes`. A flat record is tried first.

    Raises:
        MalformedBodyError: Not JSON, or none of the forms.
        InvalidRowsError: With every bad field, or no row at all.
        TooLargeError: More than `max_rows` rows, or nested deeper than `max_depth`.
    """
    row = codec.try_flat(body)
    if row is not None:
        return [row]
    return rows_of(shape_of(parse(body, max_depth=max_depth), codec.known), codec, max_rows)


def rows_of(shape: Shape, codec: RowCodec, max_rows: int) -> list[msgspec.Struct]:
    """Rows of a recognised body.

    Raises:
        InvalidRowsError: With every bad field, or no row at all.
        TooLargeError: More than `max_rows` rows.
    """
    require_count(shape, shape.loc, max_rows)
    if not isinstance(shape, Records):
        return codec.from_table(shape.names, shape.data, loc=shape.loc)
    if shape.single:
        return [codec.from_record(shape.records[0], loc=shape.loc)]
    return codec.from_records(shape.records, loc=shape.loc)


def require_count(rows: Sized, loc: Location, max_rows: int) -> None:
    """Refuses no rows and too many.

    Raises:
        InvalidRowsError: There is no row.
        TooLargeError: There are more than `max_rows`.
    """
    if len(rows) > max_rows:
        raise TooLargeError(
            f"{len(rows)} rows are more than MAX_BATCH_ROWS ({max_rows}): send them in several requests"
        )
    if not len(rows):
        raise InvalidRowsError([FieldProblem(loc, "there is no row: send at least one", "empty_batch")])
