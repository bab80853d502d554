"""SIGTERM, SIGINT and SIGCHLD as one thing to wait for."""

import signal
import threading
from types import FrameType


class Signals:
    """Installed in the main thread of a supervisor.

    Attributes:
        stop_requests: How often SIGTERM or SIGINT came; a second one means: now.
    """

    def __init__(self) -> None:
        self.stop_requests = 0
        self._woken = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, self._on_child)

    @property
    def stopping(self) -> bool:
        """Whether a stop was asked for."""
        return self.stop_requests > 0

    def wait(self, timeout_seconds: float) -> None:
        """Returns after the time, or sooner when a signal came since the last wait."""
        self._woken.wait(timeout_seconds)
        self._woken.clear()

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop_requests += 1
        self._woken.set()

    def _on_child(self, _number: int, _frame: FrameType | None) -> None:
        self._woken.set()
