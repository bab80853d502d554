"""The training child of a first start: a process whose standard output is progress, one JSON line each."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import IO, Self

import msgspec

from understudy.supervisor.children import role_argv


class Progress(msgspec.Struct, frozen=True):
    """How far the training is: a fraction of 1, and what is being done."""

    fraction: float
    text: str


def tell_progress(progress: Progress) -> None:
    """Said by the child."""
    sys.stdout.write(msgspec.json.encode(progress).decode() + "\n")
    sys.stdout.flush()


class TrainingChild:
    """`run first_models`, started from the main thread; ended with the `with` block."""

    def __init__(self, environment: Mapping[str, str], log: IO[bytes]) -> None:
        self._news: queue.SimpleQueue[Progress] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            role_argv("first_models"),
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            process_group=0,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._listener.join()
        assert self._process.stdout
        self._process.stdout.close()

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def news(self) -> list[Progress]:
        """What it said since last asked."""
        return [self._news.get() for _ in range(self._news.qsize())]

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with contextlib.suppress(msgspec.DecodeError):  # a library's own chatter
                self._news.put(msgspec.json.decode(line, type=Progress))
