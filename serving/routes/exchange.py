"""What every route needs to come from FastAPI's request to our worker and back."""

from fastapi import Request, Response

from serving.errors import TooLargeError
from serving.replies import Reply
from serving.worker import Worker


class CallerLeftError(Exception):
    """The caller disconnected before the body was whole; there is nobody to answer."""


def worker_of(request: Request) -> Worker:
    """The worker this application belongs to."""
    worker: Worker = request.app.state.worker
    return worker


async def read_body(request: Request) -> bytes:
    """The whole body.

    Raises:
        TooLargeError: It is longer than MAX_BODY_BYTES; the rest is not read.
        CallerLeftError: The connection closed first.
    """
    limit = worker_of(request).settings.max_body_bytes
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise CallerLeftError
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLargeError(f"the body is larger than MAX_BODY_BYTES ({limit}): send fewer rows at once")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def as_response(reply: Reply) -> Response:
    """A reply as FastAPI's response."""
    response = Response(reply.body, reply.status)
    response.raw_headers[:0] = reply.headers()
    return response
