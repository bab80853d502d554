"""The commands, their help texts and their exit codes. Each command imports its module only when it runs."""

import sys
from typing import Annotated, Any

import typer

from understudy.errors import FrontDoorError

app = typer.Typer(
    name="understudy",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Serve a model, let another answer unseen beside it, and keep every answer.",
    epilog="Begin with: understudy up",
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def run_command() -> int:
    """Runs the command line and returns its exit code."""
    try:
        result: Any = app(standalone_mode=False)
    except FrontDoorError as error:
        return _complain(str(error))
    except typer.Abort:
        return _complain("Stopped.")
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # typer's own usage errors
            error.show()
            return int(error.exit_code)
        raise
    return result if isinstance(result, int) else 0


def _complain(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return 2


@app.command(rich_help_panel="Run")
def up(
    *,
    detach: Annotated[bool, typer.Option("--detach", help="Return when ready, and keep running.")] = False,
) -> int:
    """Start everything on this machine and wait for the first answer.

    Trains first models when our own registry is empty, then starts the API, the loader, the indexer, the shadows
    and the MLflow UI. Ctrl-C stops them in order; what is in flight is answered. Settings: .env (see .env.example).
    """
    from understudy.cli import machine

    return machine.up_detached() if detach else machine.up()


@app.command(rich_help_panel="Run")
def down() -> int:
    """Stop what `understudy up` started on this DATA_DIR."""
    from understudy.cli import machine

    return machine.down()


@app.command(rich_help_panel="Run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(context: typer.Context, role: Annotated[str, typer.Argument(help="Which process.")]) -> int:
    """Run one process in the foreground: api, loader, indexer, shadow, model or mlflow_ui.

    This is how `up` and containers start each process. SIGTERM stops it cleanly.
    """
    from understudy.run import run_role

    return run_role(role, context.args)


@app.command(rich_help_panel="Run")
def logs(
    role: Annotated[str, typer.Argument(help="A process, such as api-0 or shadow; all when left out.")] = "",
    *,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the newest lines.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing what is added.")] = False,
) -> int:
    """Print the newest log lines of the processes, oldest first."""
    from understudy.cli import log_files

    return log_files.show(role, lines=lines, follow=follow)


@app.command(rich_help_panel="Run")
def reset(*, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> int:
    """Delete everything under DATA_DIR: models, runs, log, store. Asks first."""
    from understudy.cli import machine

    return machine.reset(sure=yes)
