"""`understudy run ROLE`: one process of ours, in the foreground.

Apart from the command line's other commands, and free of typer, because every process starts here and pays for
what is imported.
"""

import atexit
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from understudy.errors import UnknownRoleError
from understudy.process import configure_logging, die_with_supervisor
from understudy.settings import UnderstudySettings

ROLES: Final = {
    "api": "answers callers and records every answer; by itself it runs WORKERS processes (--workers N)",
    "loader": "keeps the compiled models in step with the registry's aliases",
    "indexer": "carries events from the log into the store",
    "shadow": "answers again, unseen, with the version of one alias (--alias NAME)",
    "model": "runs one model that is not ONNX behind a socket; started by the loader",
    "mlflow_ui": "serves the MLflow UI over our own registry (--port N)",
    "first_models": "trains and registers the first models into our own empty registry, then ends",
}
_METRICS_DIR = "PROMETHEUS_MULTIPROC_DIR"


def run_role(role: str, arguments: Sequence[str] = ()) -> int:
    """Runs a role until it is told to stop, and returns its exit code.

    The role finds its arguments in `sys.argv[1:]`.

    Raises:
        UnknownRoleError: The message lists the roles.
    """
    name = role.replace("-", "_")
    if name not in ROLES:
        raise UnknownRoleError(f"There is no role {role!r}. Roles: {', '.join(ROLES)}.")
    settings = UnderstudySettings()
    configure_logging(name, settings)
    _provide_metrics_dir(settings.data_dir)
    sys.argv = [f"understudy run {name}", *arguments]
    if name == "api" and "UNDERSTUDY_API_FD" not in os.environ:
        return _run_api_parent(arguments)
    die_with_supervisor(grace_seconds=settings.stop_grace_seconds if name in {"api", "mlflow_ui"} else 0.0)
    return int(importlib.import_module(f"understudy.roles.{name}").main())


def _run_api_parent(arguments: Sequence[str]) -> int:
    import argparse

    from understudy.supervisor.api_parent import serve

    parser = argparse.ArgumentParser(prog="understudy run api", description=f"The API: {ROLES['api']}.")
    parser.add_argument("--workers", type=int, help="worker processes; default WORKERS")
    return serve(parser.parse_args(list(arguments)).workers)


def _provide_metrics_dir(data_dir: Path) -> None:
    """Gives a process without a supervisor a metrics folder of its own; it must be set before the first import."""
    if os.environ.get(_METRICS_DIR):
        return
    parent = data_dir / "run"
    parent.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="metrics-", dir=parent.absolute())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[_METRICS_DIR] = folder
