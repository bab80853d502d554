"""The commands, their help texts and their exit codes. Each command imports its module only when it runs."""

from typing import Annotated, Any

import typer

from understudy.cli.problems import complain, explain

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
    except typer.Abort:
        return complain("Stopped.")
    except Exception as error:  # noqa: BLE001 - the outermost guard: ours are told in words, any other goes on
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # typer's own usage errors
            error.show()
            return int(error.exit_code)
        return explain(error)
    return result if isinstance(result, int) else 0


@app.command(rich_help_panel="Run")
def up(
    *,
    detach: Annotated[bool, typer.Option("--detach", help="Return when ready, and keep running.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, max=256, help="API worker processes; else WORKERS.")] = None,
) -> int:
    """Start everything on this machine and wait for the first answer.

    Trains first models when our own registry is empty, then starts the API, the loader, the indexer, the shadows
    and the MLflow UI. Ctrl-C stops them in order; what is in flight is answered. Settings: .env (see .env.example).
    """
    from understudy.cli import machine

    return machine.up_detached(workers) if detach else machine.up(workers)


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
def status(*, as_json: Json = False) -> int:
    """Show how everything is doing, worst first; exit code 1 when callers are affected."""
    from understudy.cli import status

    return status.show(as_json=as_json)


@app.command(rich_help_panel="Run")
def doctor(*, as_json: Json = False) -> int:
    """Examine this machine: one line per check, with its fix; exit code 1 when one fails."""
    from understudy.cli import doctor

    return doctor.show(as_json=as_json)


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


Months = Annotated[list[str] | None, typer.Option(metavar="YYYY-MM", help="May be given several times.")]


@app.command(rich_help_panel="Models")
def train(  # noqa: PLR0913 - one parameter per option
    *,
    dataset: Annotated[
        str, typer.Option(help="flights, iris, breast_cancer, diabetes, or the path of a CSV or Parquet file.")
    ] = "flights",
    model: Annotated[str, typer.Option(help="logistic (linear for numbers), forest or boosting.")] = "logistic",
    train_month: Months = None,
    val_month: Months = None,
    test_month: Months = None,
    target: Annotated[str | None, typer.Option(help="Column to predict; needed for a file.")] = None,
    event_time: Annotated[str | None, typer.Option(help="Column of the time, for a file that has one.")] = None,
    name: Annotated[str | None, typer.Option(help="Register under this name instead of the dataset's.")] = None,
    role: Annotated[str | None, typer.Option(help="Alias to give at once, such as shadow; else a candidate.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything random: the same command gives the same model.")] = 0,
    as_json: Json = False,
) -> int:
    """Train a model, log it in an MLflow run with its figures and profile, and register it.

    Example: understudy train --dataset flights --train-month 2013-01 --val-month 2013-02 --test-month 2013-03
    --model boosting --role shadow
    """
    from understudy.process import low_priority

    low_priority()
    from understudy.cli import training

    request = training.TrainRequest(
        dataset=dataset,
        recipe=training.Recipe(model, seed),
        months=training.Months(tuple(train_month or ()), tuple(val_month or ()), tuple(test_month or ())),
        target=target,
        event_time=event_time,
        model_name=name,
        as_role=role,
    )
    return training.train_model(request, as_json=as_json)


@app.command(rich_help_panel="Models")
def models(*, as_json: Json = False) -> int:
    """List what is registered, newest first, and which version has which role."""
    from understudy.cli import registry

    return registry.show_models(as_json=as_json)


@app.command(rich_help_panel="Models")
def promote(
    model: Annotated[str, typer.Argument(help="Name of the model, such as flights.")],
    version: Annotated[str, typer.Argument(help="The version that shall answer, such as 2.")],
    *,
    reason: Annotated[str, typer.Option(help="Why; kept with the change.")] = "",
    as_json: Json = False,
) -> int:
    """Make a version production and wait until it answers; the one it replaces becomes the shadow.

    No request fails meanwhile. The way back: understudy rollback MODEL.
    """
    from understudy.cli import registry

    return registry.promote_version(model, version, reason=reason, as_json=as_json)


@app.command(rich_help_panel="Models")
def rollback(
    model: Annotated[str, typer.Argument(help="Name of the model; the first of MODELS when left out.")] = "",
    *,
    reason: Annotated[str, typer.Option(help="Why; kept with the change.")] = "",
    as_json: Json = False,
) -> int:
    """Let the version answer again that was production before, and wait until it does."""
    from understudy.cli import registry

    return registry.roll_back_model(model, reason=reason, as_json=as_json)


@app.command(rich_help_panel="Events")
def simulate(  # noqa: PLR0913 - one parameter per option
    *,
    dataset: Annotated[str, typer.Option(help="flights, iris, breast_cancer, diabetes, or a file.")] = "flights",
    rows: Annotated[int, typer.Option(min=1, help="How many rows to send.")] = 1000,
    rate: Annotated[float, typer.Option(min=0.01, help="Rows a second, whether or not the API keeps up.")] = 20.0,
    month: Months = None,
    model: Annotated[str | None, typer.Option(help="Model to ask; the API's first when left out.")] = None,
    target: Annotated[str | None, typer.Option(help="Column of the truth; needed for a file.")] = None,
    event_times: Annotated[
        bool, typer.Option("--event-times", help="Send each row's own time; needs a key with the scope simulate.")
    ] = False,
    labels: Annotated[bool, typer.Option(help="Send the truth to /feedback once it is known.")] = True,
    seed: Annotated[int, typer.Option(help="Of the choice of rows: the same seed sends the same.")] = 0,
    connections: Annotated[int, typer.Option(min=1, help="Calls under way at once, at most.")] = 8,
    url: Annotated[str | None, typer.Option(help="The API; this machine's when left out.")] = None,
    api_key: Annotated[str | None, typer.Option(help="Key to send; else API_KEY of the environment.")] = None,
    as_json: Json = False,
) -> int:
    """Send real rows to the API at a steady rate, and their labels as they become known.

    Exit code 1 when a row was not answered. Example: understudy simulate --rows 500 --rate 50 --month 2013-04
    """
    from understudy.cli import simulation

    choice = simulation.Choice(dataset, target, tuple(month or ()), rows, seed)
    plan = simulation.Plan(rate, connections, model, event_times, labels)
    return simulation.send(choice, plan, url=url, api_key=api_key, as_json=as_json)


@app.command(rich_help_panel="Events")
def events(*, as_json: Json = False) -> int:
    """Count the stored prediction events by model, version, role and outcome; exit code 1 when there are none."""
    from understudy.cli import event_store

    return event_store.show_counts(as_json=as_json)


@app.command(rich_help_panel="Events")
def reconcile(*, as_json: Json = False) -> int:
    """Prove that every acknowledged event is accounted for; exit code 1 when one is not.

    Per partition of the log: acknowledged = stored + duplicates + dead letters + expired + not yet read + quarantined.
    For every shadow: which production events it has not answered since it began.
    """
    from understudy.cli import event_store

    return event_store.reconcile(as_json=as_json)


dlq = typer.Typer(no_args_is_help=True, help="Events the store cannot take, set aside with their reason.")
app.add_typer(dlq, name="dlq", rich_help_panel="Events")


@dlq.command("list")
def dlq_list(
    *,
    limit: Annotated[int, typer.Option(min=1, help="How many, the oldest first.")] = 100,
    as_json: Json = False,
) -> int:
    """List the dead letters with their reason."""
    from understudy.cli import event_store

    return event_store.list_dead_letters(limit=limit, as_json=as_json)


@dlq.command("redrive")
def dlq_redrive(*, as_json: Json = False) -> int:
    """Offer all dead letters to the store again, once the cause is mended; exit code 1 when some stay."""
    from understudy.cli import event_store

    return event_store.redrive(as_json=as_json)


keys = typer.Typer(no_args_is_help=True, help="API keys: who may call, and what they may do.")
app.add_typer(keys, name="keys", rich_help_panel="Access")


@keys.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="Whom it is for.")],
    *,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="predict, feedback, admin, metrics or simulate; several times. Default: predict, feedback."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Make a key and print its secret, this once. With the first key the API stops answering those without one."""
    from understudy.cli import keys

    return keys.create(name, scope or ["predict", "feedback"], as_json=as_json)


@keys.command("list")
def keys_list(*, as_json: Json = False) -> int:
    """List the keys by name, with their scopes."""
    from understudy.cli import keys

    return keys.show(as_json=as_json)


@keys.command("revoke")
def keys_revoke(name: Annotated[str, typer.Argument(help="Name of the key.")]) -> int:
    """Take a key away; running workers refuse it within a second."""
    from understudy.cli import keys

    return keys.revoke(name)
