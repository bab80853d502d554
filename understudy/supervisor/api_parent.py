"""`understudy run api` by itself: the API's workers over one listening socket, their output on ours."""

import logging
import os

from serving.settings import ServingSettings
from understudy.process import SUPERVISOR_PID
from understudy.settings import UnderstudySettings
from understudy.supervisor.plan import api_children
from understudy.supervisor.ports import open_listener
from understudy.supervisor.signals import Signals
from understudy.supervisor.supervisor import Supervisor

_log = logging.getLogger("understudy.supervisor")


def serve(workers: int | None = None) -> int:
    """Runs the API's workers (WORKERS, unless given) until told to stop.

    Raises:
        PortTakenError: API_PORT cannot be listened on.
    """
    serving, settings = ServingSettings(), UnderstudySettings()
    listener = open_listener(serving.api_host, serving.api_port, "API_PORT")
    signals = Signals()
    supervisor = Supervisor(signals, grace_seconds=settings.stop_grace_seconds)
    environment = {SUPERVISOR_PID: str(os.getpid())}
    _log.info("listening", extra={"host": serving.api_host, "port": listener.getsockname()[1]})
    supervisor.start(api_children(workers or serving.workers, listener.fileno(), environment))
    while not signals.stopping:
        supervisor.wait(5.0)
        supervisor.step()
    supervisor.stop()
    listener.close()
    return 0
