"""Bodies of MLflow's scoring server, POST /invocations, to rows."""

import msgspec

from serving.errors import UnsupportedMediaError
from serving.protocol.body_shapes import Records, Shape, Table, shape_of
from serving.protocol.csv_body import csv_table
from serving.protocol.json_body import MAX_DEPTH, parse
from serving.protocol.predict_body import require_count, rows_of
from serving.row_codec import RowCodec

_UTF8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


def decode_invocations(
    body: bytes, content_type: bytes | None, codec: RowCodec, *, max_rows: int, max_depth: int = MAX_DEPTH
) -> tuple[list[msgspec.Struct], int]:
    """Rows, and how many fields were dropped because nobody knows them (MLflow drops them too).

    JSON in any form `/predict` takes, or text/csv with a header line. `params` are left out of account, as
    MLflow does for a model that declares none.

    Raises:
        UnsupportedMediaError: Neither JSON nor CSV, or not UTF-8.
        MalformedBodyError: Not what the content type says.
        InvalidRowsError: With every bad field, or no row at all.
        TooLargeError: Too many rows, or nested too deep.
    """
    if _media(content_type) == "text/csv":
        shape: Shape = csv_table(body, codec.signature)
    else:
        shape = shape_of(parse(body, max_depth=max_depth), codec.known)
    require_count(shape, shape.loc, max_rows)
    shape, dropped = _without_unknown(shape, codec.known)
    return rows_of(shape, codec, max_rows), dropped


def _media(content_type: bytes | None) -> str:
    media, _, parameters = (content_type or b"application/json").decode("latin-1").lower().partition(";")
    media = media.strip()
    if media not in {"application/json", "text/csv"}:
        raise UnsupportedMediaError(f"the body is declared as {media!r}: send application/json or text/csv")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in _UTF8:
            raise UnsupportedMediaError(f"the charset {value.strip()!r} is not supported: send UTF-8")
    return media


def _without_unknown(shape: Shape, known: frozenset[str]) -> tuple[Shape, int]:
    if isinstance(shape, Records):
        return _records_without_unknown(shape, known)
    if shape.names is None or known.issuperset(shape.names):
        return shape, 0
    width = len(shape.names)
    kept = [index for index, name in enumerate(shape.names) if name in known]
    if any(not isinstance(row, list) or len(row) != width for row in shape.data):
        return shape, 0  # the codec names the row whose length is wrong
    data = [[row[index] for index in kept] for row in shape.data]
    return Table([shape.names[index] for index in kept], data, shape.loc), (width - len(kept)) * len(data)


def _records_without_unknown(shape: Records, known: frozenset[str]) -> tuple[Shape, int]:
    dropped = 0
    records = []
    for record in shape.records:
        if isinstance(record, dict) and not known.issuperset(record):
            kept = {name: value for name, value in record.items() if name in known}
            dropped += len(record) - len(kept)
            records.append(kept)
        else:
            records.append(record)
    return Records(records, shape.loc, shape.single), dropped
