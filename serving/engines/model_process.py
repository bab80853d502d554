"""The serving side of the process engine: collects the calls that wait, answers them together, splits the answers.

One thread: while the model works on a batch, further calls queue in their sockets and are the next batch.
"""

import fcntl
import logging
import os
import selectors
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from serving.engines import frames
from serving.engines.model_batches import Predict, answer, take_batch

MAX_BATCH_ROWS = 1024
_POLL_SECONDS = 0.2
_BACKLOG = 1024
_RECEIVE_BYTES = 1 << 16
_LOCK_TRIES = 5
_LOCK_PAUSE_SECONDS = 0.05
_log = logging.getLogger("understudy.serving")


def lock_path(path: Path) -> Path:
    """The file a model process locks for its life; it holds its process id."""
    return path.with_suffix(".lock")


@contextmanager
def owned(path: Path) -> Iterator[bool]:
    """Locks the socket's lock file while the block runs; yields False when another live process holds it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.parent.stat().st_uid != os.getuid():
        raise PermissionError(f"{path.parent} belongs to another user: remove it or choose another DATA_DIR")
    handle = os.open(lock_path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not _lock(handle):
        os.close(handle)
        yield False
        return
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield True
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Who only asks whether it is held (`owner_pid`) holds it for an instant.
            time.sleep(_LOCK_PAUSE_SECONDS)
        else:
            return True
    return False


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """Listens at `path`, in the place of whatever a dead process left there."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(os.fspath(draft))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        draft.rename(path)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


class _Caller:
    """One connection: what it sent and was not yet answered, and what it has not yet taken."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = bytearray()
        self.unsent = bytearray()
        self.gone = False


class ModelServer:
    """Serves one model until `stop` is set.

    Args:
        hang_seconds: A batch that takes longer ends the process (SIGALRM): a hung model cannot be reasoned with, and
            whoever supervises this process starts another.
    """

    def __init__(
        self, listener: socket.socket, predict: Predict, *, hang_seconds: int = 60, max_batch_rows: int = MAX_BATCH_ROWS
    ) -> None:
        self._listener = listener
        self._predict = predict
        self._hang_seconds = hang_seconds
        self._max_batch_rows = max_batch_rows
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._waiting: deque[tuple[_Caller, frames.Call]] = deque()

    def serve(self, stop: threading.Event) -> None:
        """Answers until told to stop; what was received by then is answered."""
        while not stop.is_set():
            self._turn(0.0 if self._waiting else _POLL_SECONDS)
        while self._waiting:
            self._answer_batch()
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                self._drop(key.data)
        self._selector.close()

    def _turn(self, timeout_seconds: float) -> None:
        for key, events in self._selector.select(timeout_seconds):
            caller: _Caller | None = key.data
            if caller is None:
                self._accept()
                continue
            if events & selectors.EVENT_READ:
                self._receive(caller)
            if events & selectors.EVENT_WRITE and not caller.gone:
                self._send(caller)
        self._answer_batch()

    def _accept(self) -> None:
        # All at once, so that the calls of all who wait can be one batch.
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # nobody waits any more, or who did has left
                return
            connection.setblocking(False)
            self._selector.register(connection, selectors.EVENT_READ, _Caller(connection))

    def _receive(self, caller: _Caller) -> None:
        try:
            chunk = caller.connection.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self._drop(caller)
            return
        caller.received += chunk
        try:
            while (body := frames.split_frame(caller.received)) is not None:
                self._waiting.append((caller, frames.decode_call(body)))
        except (ValueError, msgspec.DecodeError) as error:
            _log.warning("model_call_unreadable", extra={"error": str(error)})
            self._drop(caller)

    def _answer_batch(self) -> None:
        while self._waiting and self._waiting[0][0].gone:
            self._waiting.popleft()
        if not self._waiting:
            return
        count = take_batch([call for _, call in self._waiting], self._max_batch_rows)
        batch = [self._waiting.popleft() for _ in range(count)]
        batch = [(caller, call) for caller, call in batch if not caller.gone]
        signal.alarm(self._hang_seconds)
        replies = answer([call for _, call in batch], self._predict)
        signal.alarm(0)
        for (caller, _), reply in zip(batch, replies, strict=True):
            caller.unsent += frames.frame(reply)
            self._send(caller)

    def _send(self, caller: _Caller) -> None:
        try:
            while caller.unsent:
                del caller.unsent[: caller.connection.send(caller.unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(caller)
            return
        # Who does not take its answers is not read from: its calls wait in its own socket, not in our memory.
        events = selectors.EVENT_WRITE if caller.unsent else selectors.EVENT_READ
        self._selector.modify(caller.connection, events, caller)

    def _drop(self, caller: _Caller) -> None:
        if caller.gone:
            return
        caller.gone = True
        self._selector.unregister(caller.connection)
        caller.connection.close()


def serve_model(path: Path, load: Callable[[], Predict], stop: threading.Event, *, hang_seconds: int) -> int:
    """Runs one model process: own the socket, load the model, answer until `stop`.

    Returns:
        The exit code; 0 also when another live process already serves this socket.
    """
    with owned(path) as mine:
        if not mine:
            _log.info("model_process_already_there", extra={"socket": str(path)})
            return 0
        predict = load()
        with listening(path) as listener:
            _log.info("model_process_ready", extra={"socket": str(path), "pid": os.getpid()})
            ModelServer(listener, predict, hang_seconds=hang_seconds).serve(stop)
    return 0
