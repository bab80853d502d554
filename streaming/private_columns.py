"""Takes private columns out of events before anything behind the log sees them.

Nothing here raises for odd bytes: what cannot be searched for private columns is withheld whole.
"""

from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from streaming.codec import encode
from streaming.events import Event, PredictionEvent
from streaming.log import LogRecord
from streaming.store import IndexedEvent


def without_private(record: LogRecord, event: Event, columns: AbstractSet[str]) -> IndexedEvent:
    """The event and its record without the features named in `columns`."""
    if not columns or not isinstance(event, PredictionEvent) or not isinstance(event.features, dict):
        return IndexedEvent(record, event)
    if columns.isdisjoint(event.features):
        return IndexedEvent(record, event)
    kept = {name: value for name, value in event.features.items() if name not in columns}
    public = msgspec.structs.replace(event, features=kept)
    return IndexedEvent(record._replace(value=encode(public)), public)


def withhold_private(value: bytes, columns: AbstractSet[str]) -> bytes:
    """Bytes that are no event, without private columns: keys of that name go wherever they stand in JSON.

    Bytes that are not JSON are withheld whole (b"") when there are private columns; the log keeps them until its
    retention ends.
    """
    if not columns:
        return value
    try:
        return msgspec.json.encode(_prune(msgspec.json.decode(value), columns))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return b""


def _prune(node: Any, columns: AbstractSet[str]) -> Any:
    if isinstance(node, dict):
        return {name: _prune(inner, columns) for name, inner in node.items() if name not in columns}
    if isinstance(node, list):
        return [_prune(inner, columns) for inner in node]
    return node
