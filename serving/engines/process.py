"""The engine for what is not ONNX: the model runs in a process of its own, behind a Unix socket.

API workers import this module: standard library, numpy and msgspec only.
"""

import hashlib
import os
import socket
import tempfile
import threading
import time
from collections import deque
from pathlib import Path

import msgspec

from serving.engines import frames
from serving.errors import EngineError, EngineUnavailableError
from serving.rows import Answers, Rows

_LONGEST_SOCKET_PATH = 100
_RECONNECT_SECONDS = 0.05
_BREAKS = 2
_RECEIVE_BYTES = 1 << 16


def socket_path(bundle_folder: Path, run_dir: Path) -> Path:
    """Where the model process of a bundle listens; the same for everyone who asks.

    Unix sockets allow about 100 bytes of path. A deeper `run_dir` is stood in for by a folder of this user under
    the system's temporary folder, named by the hash of `run_dir`.
    """
    name = f"{hashlib.sha256(os.fsencode(bundle_folder.resolve())).hexdigest()[:16]}.sock"
    path = run_dir.resolve() / "models" / name
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    key = hashlib.sha256(os.fsencode(run_dir.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"understudy-{os.getuid()}-{key}" / name


class ProcessEngine:
    """Asks the model process at `path`. Thread-safe: every thread at work has a connection of its own.

    Args:
        timeout_seconds: Longest wait for one answer.
        patience_seconds: How long to wait for a process that is not there, because it is being restarted.
    """

    inline = False

    def __init__(self, path: Path, *, timeout_seconds: float = 10.0, patience_seconds: float = 0.0) -> None:
        self._path = path
        self._timeout_seconds = timeout_seconds
        self._patience_seconds = patience_seconds
        self._idle: deque[socket.socket] = deque()
        self._lock = threading.Lock()
        self._closed = False

    def predict(self, rows: Rows) -> Answers:
        """Answers every row.

        Raises:
            EngineUnavailableError: No model process is listening; these rows reached none.
            EngineError: The model refused the rows, died over them, or took longer than the time-out.
        """
        reply = self._ask(frames.frame(frames.call_of(rows)))
        if reply.error:
            raise EngineError(f"the model failed: {reply.error}")
        if len(reply.predictions) != len(rows):
            raise EngineError(f"the model answered {len(rows)} rows with {len(reply.predictions)} predictions")
        return Answers(reply.predictions, reply.probabilities)

    def ping(self) -> None:
        """Returns when the model process is there and its model loaded; raises as `predict` does."""
        self._ask(frames.frame(frames.PING))

    def close(self) -> None:
        """Closes the idle connections now, the busy ones when their call ends."""
        self._closed = True
        self._close_idle()

    def _ask(self, request: bytes) -> frames.Reply:
        breaks = 0
        while True:
            connection = self._take_idle() or self._connect()
            try:
                return self._exchange(connection, request)
            except TimeoutError as error:
                raise EngineError(f"the model process did not answer within {self._timeout_seconds:g} s") from error
            except ConnectionError as error:
                # A kept connection may be to a process that was restarted since, a new one to a process that is just
                # ending. Answering changes nothing in a model, so asking again is safe; not for ever, because the
                # rows themselves may be what ends it.
                breaks += 1
                if breaks > _BREAKS:
                    raise EngineError(f"the model process ended in the middle of a call: {error}") from error
                self._close_idle()

    def _exchange(self, connection: socket.socket, request: bytes) -> frames.Reply:
        try:
            deadline = time.monotonic() + self._timeout_seconds
            connection.settimeout(self._timeout_seconds)
            connection.sendall(request)
            reply = frames.decode_reply(_receive(connection, deadline))
        except BaseException as error:
            connection.close()
            if isinstance(error, (ValueError, msgspec.DecodeError)):
                raise EngineError(f"the model process at {self._path} does not speak our protocol: {error}") from error
            raise
        self._give_back(connection)
        return reply

    def _connect(self) -> socket.socket:
        deadline = time.monotonic() + self._patience_seconds
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.settimeout(self._timeout_seconds)
                connection.connect(os.fspath(self._path))
            except OSError as error:
                connection.close()
                if self._closed or time.monotonic() >= deadline:
                    raise EngineUnavailableError(f"no model process listens at {self._path}: {error}") from error
                time.sleep(_RECONNECT_SECONDS)
            else:
                return connection

    def _close_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, deque()
        for connection in idle:
            connection.close()

    def _take_idle(self) -> socket.socket | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _give_back(self, connection: socket.socket) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()


def _receive(connection: socket.socket, deadline: float) -> bytes:
    received = bytearray()
    while True:
        body = frames.split_frame(received)
        if body is not None:
            return body
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        connection.settimeout(remaining)
        chunk = connection.recv(_RECEIVE_BYTES)
        if not chunk:
            raise ConnectionResetError("it closed the connection")
        received += chunk
