"""Answers POST /predict[/name] straight from the HTTP parser; everything else goes the ordinary ASGI way.

uvicorn's own protocol spends most of a small request on what this one does not need: a task, an ASGI scope, the
receive and send messages, and the checks of headers an application might have got wrong. The handler is the one
of the FastAPI route (`FAST_PATH=false`), and one suite of tests runs over both.
"""

import asyncio
import logging
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving import metrics
from serving.errors import ServingError, TooLargeError
from serving.predict import Predictor
from serving.replies import Reply, error_reply
from serving.request import Asked, read_headers

_log = logging.getLogger("understudy.serving")
_PREFIX = b"/predict/"


def fast_path(predictor: Predictor, *, max_body_bytes: int) -> type[asyncio.Protocol]:
    """The protocol class for `uvicorn.Config(http=...)`."""
    return type("BoundFastPath", (FastPath,), {"predictor": predictor, "max_body_bytes": max_body_bytes})


class FastPath(HttpToolsProtocol):
    """One connection. Of pipelined requests only the first is quick; the others keep their order behind it."""

    predictor: Predictor
    max_body_bytes: int

    def on_message_begin(self) -> None:
        """Parser callback: leaves the ASGI scope to those requests that need one."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """Parser callback: takes the request if it is one of ours, in the ordinary case."""
        if self.url.startswith(b"/predict") and self._is_ordinary():
            name = self._model_name()
            if name is not None:
                self.cycle = cast(Any, Exchange(self, name, read_headers(self.headers)))
                return
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()

    def _is_ordinary(self) -> bool:
        parser = self.parser
        cycle: Any = self.cycle  # None before the first request
        return bool(
            parser.get_method() == b"POST"
            and (cycle is None or cycle.response_complete)
            and parser.get_http_version() == "1.1"
            and not self.expect_100_continue
            and not parser.should_upgrade()
            and not self.flow.write_paused
        )

    def _model_name(self) -> str | None:
        """Empty for the default model, None where the address is none of ours."""
        url: bytes = self.url
        if url == b"/predict":
            return ""
        name = url[len(_PREFIX) :]
        if not url.startswith(_PREFIX) or not name or b"/" in name or b"?" in name or b"%" in name:
            return None
        return name.decode("latin-1")


class Exchange:
    """One request and its reply, with what uvicorn's protocol asks of a cycle."""

    __slots__ = ("_asked", "_name", "_protocol", "body", "disconnected", "keep_alive", "more_body", "response_complete")

    def __init__(self, protocol: FastPath, name: str, asked: Asked) -> None:
        self._protocol = protocol
        self._name = name
        self._asked = asked
        self.body = b""
        self.more_body = True
        self.response_complete = False
        self.disconnected = False
        self.keep_alive = protocol.parser.should_keep_alive()

    @property
    def message_event(self) -> "Exchange":
        """What uvicorn sets when there is more of the body, or no more, or nobody to answer."""
        return self

    def set(self) -> None:
        """More of the request is known."""
        if self.disconnected or self.response_complete:
            return
        if len(self.body) > self._protocol.max_body_bytes:
            # The connection stays: closing it on a caller that is still sending would take his answer from him.
            limit = self._protocol.max_body_bytes
            self._refuse(TooLargeError(f"the body is larger than MAX_BODY_BYTES ({limit}): send fewer rows at once"))
        elif self.more_body:
            self._protocol.flow.resume_reading()
        else:
            self._begin()

    def _begin(self) -> None:
        try:
            self._protocol.predictor.predict(self._asked, self.body, self._name or None, self._answer)
        except ServingError as error:
            self._refuse(error)
        except Exception:  # noqa: BLE001 the guard of this request: its caller gets an answer whatever happens
            _log.exception("request_crashed")
            metrics.crashed_batches_total.inc()
            self._refuse(ServingError("the server failed on this request; its log has the cause"))

    def _refuse(self, error: ServingError) -> None:
        self._answer(error_reply(error, self._asked.request_id))

    def _answer(self, reply: Reply) -> None:
        protocol = self._protocol
        self.response_complete = True
        if self.disconnected or protocol.transport.is_closing():
            return
        lines: list[Any] = [STATUS_LINE[reply.status]]
        for name, value in protocol.server_state.default_headers:
            lines += (name, b": ", value, b"\r\n")
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines += (reply.head, b"content-length: %d\r\n\r\n" % len(reply.body), reply.body)
        protocol.transport.write(b"".join(lines))
        if not self.keep_alive:
            protocol.transport.close()
        protocol.on_response_complete()
