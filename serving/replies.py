"""Answers and errors as HTTP: one shape for every route, FastAPI's own where FastAPI has one."""

import math
from functools import lru_cache
from urllib.parse import quote

import msgspec

from serving import metrics
from serving.errors import InvalidRowsError, RejectedError, ServingError, ShedError
from serving.recording import Call
from streaming.ids import new_event_ids


class Reply(msgspec.Struct):
    """An answer as HTTP wants it.

    Attributes:
        head: Header lines as they go over the wire, each ended by CRLF; without content-length.
    """

    status: int
    head: bytes
    body: bytes

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The header lines as ASGI wants them."""
        pairs = (line.partition(b": ") for line in self.head.split(b"\r\n") if line)
        return [(name, value) for name, _, value in pairs]


def answer_head(call: Call, content_type: bytes = b"application/json") -> bytes:
    """The header lines every answer carries."""
    bundle = call.served.bundle
    lines = _model_lines(bundle.model_name, bundle.model_version, content_type)
    return b"%bx-request-id: %b\r\nx-event-id: %b\r\n" % (lines, call.request_id.encode(), call.event_ids[0].encode())


@lru_cache(maxsize=256)
def _model_lines(model_name: str, model_version: str, content_type: bytes) -> bytes:
    name, version = quote(model_name, safe=" ").encode(), quote(model_version).encode()
    return b"content-type: %b\r\nx-model-name: %b\r\nx-model-version: %b\r\n" % (content_type, name, version)


def error_reply(error: ServingError, request_id: str) -> Reply:
    """What a caller gets instead of an answer; counts it."""
    if isinstance(error, RejectedError | ShedError):
        metrics.rejected_total.labels(error.error_type).inc()
    body = msgspec.json.encode({"detail": _detail(error), "error_type": error.error_type})
    return Reply(error.status, _error_head(error, request_id or new_event_ids(1)[0]), body)


def v2_error_reply(error: ServingError, request_id: str) -> Reply:
    """The same in the shape of the Open Inference Protocol."""
    reply = error_reply(error, request_id)
    reply.body = msgspec.json.encode({"error": str(error)})
    return reply


def _error_head(error: ServingError, request_id: str) -> bytes:
    """With Retry-After in whole seconds where trying again helps."""
    head = b"content-type: application/json\r\nx-request-id: %b\r\n" % request_id.encode()
    if error.retry_after_seconds is not None:
        head += b"retry-after: %d\r\n" % math.ceil(error.retry_after_seconds)
    if error.status == 401:
        head += b"www-authenticate: Bearer\r\n"
    return head


def _detail(error: ServingError) -> object:
    if not isinstance(error, InvalidRowsError):
        return str(error)
    return [{"loc": problem.loc, "msg": problem.msg, "type": problem.type} for problem in error.problems]
