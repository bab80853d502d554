"""The echo: a bare ASGI application that reads the whole body and answers JSON of a given size.

What our API worker does more than this is what Understudy costs. Same server, loop, parser and settings.
Run as `python -m prove.echo FILE_DESCRIPTOR BYTES`.
"""

import os
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

Message = MutableMapping[str, Any]


def application(
    size: int,
) -> Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]:
    """The ASGI application; its answer is `size` bytes of JSON."""
    answer = b'{"prediction":"' + b"x" * max(size - 17, 0) + b'"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]

    async def echo(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            await _lifespan(receive, send)
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return echo


async def _lifespan(receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def main() -> None:
    """Serves until SIGTERM."""
    listener = socket.socket(fileno=os.dup(int(sys.argv[1])))
    config = uvicorn.Config(
        application(int(sys.argv[2])), http="httptools", access_log=False, log_config=None, server_header=False
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
