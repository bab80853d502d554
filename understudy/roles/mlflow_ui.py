"""The MLflow UI over our own registry. Nothing waits for it; it runs only when nobody else wants the CPU."""

import argparse
import os
import subprocess
import sys

from understudy.process import low_priority, stop_event
from versioning.settings import VersioningSettings


def main() -> int:
    """Runs `mlflow server` on loopback until told to stop."""
    parser = argparse.ArgumentParser(prog=sys.argv[0])
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    stop = stop_event()
    low_priority()
    # MLflow's own metrics would be merged with ours.
    inherited = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    server = subprocess.Popen(server_command(VersioningSettings(), port), env={**inherited, **SERVER_ENVIRONMENT})
    while not stop.wait(0.5):
        if server.poll() is not None:
            return server.returncode
    server.terminate()
    return server.wait()


# Jobs would turn 2 processes and 0.5 GB into 10 and 1.6 GB; nothing of ours uses them.
SERVER_ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


def server_command(settings: VersioningSettings, port: int) -> list[str]:
    """The server over the same store and files that we register into."""
    settings.artifact_root.mkdir(parents=True, exist_ok=True)
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", settings.tracking_uri),
        *("--default-artifact-root", str(settings.artifact_root)),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
    ]
