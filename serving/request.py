"""What the headers of a request say, read once."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec

from serving.errors import FieldProblem, InvalidRowsError, UnsupportedMediaError

AHEAD = timedelta(seconds=60)
_MAX_REQUEST_ID = 128


class Asked(msgspec.Struct):
    """What the headers of a request say.

    Attributes:
        request_id: The caller's; empty where he sent none (or nothing printable): it then is the first event id.
        credential: The Authorization or X-API-Key value as sent.
    """

    request_id: str = ""
    credential: bytes | None = None
    content_type: bytes | None = None
    event_time: bytes | None = None


def read_headers(headers: Iterable[tuple[bytes, bytes]]) -> Asked:
    """Picks what matters out of ASGI headers (names in lower case)."""
    said = dict(headers)
    request_id = said.get(b"x-request-id")
    return Asked(
        _clean(request_id) if request_id else "",
        said.get(b"authorization") or said.get(b"x-api-key"),
        said.get(b"content-type"),
        said.get(b"x-event-time"),
    )


def _clean(value: bytes) -> str:
    text = value.decode("latin-1")[:_MAX_REQUEST_ID]
    return text if text.isascii() and text.isprintable() else ""


def event_time(value: bytes, now: datetime) -> datetime:
    """The time in an `x-event-time` header, in UTC.

    Raises:
        InvalidRowsError: Not a time, without zone, or more than 60 s ahead of `now`.
    """
    try:
        moment = datetime.fromisoformat(value.decode())
    except ValueError:
        raise _bad_time("is not an ISO 8601 time such as 2013-03-01T06:15:00Z") from None
    if moment.tzinfo is None:
        raise _bad_time("has no time zone: end it with Z for UTC")
    if moment > now + AHEAD:
        raise _bad_time("is more than 60 s ahead of the server's clock")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise _bad_time("is before the year 1 in UTC") from None


def _bad_time(problem: str) -> InvalidRowsError:
    return InvalidRowsError([FieldProblem(("header", "x-event-time"), problem, "event_time")])


def require_json(content_type: bytes | None) -> None:
    """Lets JSON (or no content type at all) pass.

    Raises:
        UnsupportedMediaError: Says what to send.
    """
    if content_type is None or content_type == b"application/json":
        return
    media = content_type.split(b";")[0].strip().lower().decode("latin-1")
    if media == "application/json" or (media.startswith("application/") and media.endswith("+json")):
        return
    raise UnsupportedMediaError(f"the body is declared as {media!r}: send it with content-type: application/json")
