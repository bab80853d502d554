"""status: one screen, worst first."""

import msgspec

from serving.settings import ServingSettings
from understudy.cli.output import print_json, print_table
from understudy.status import Status, look, model_rows, process_rows
from understudy.story import Story


def show(*, as_json: bool) -> int:
    """Prints how everything is doing; 1 when callers are affected."""
    status = look()
    bundles_dir = ServingSettings().bundles_dir
    if as_json:
        print_json(_document(status, model_rows(status, bundles_dir)))
    else:
        _tell(status, model_rows(status, bundles_dir), Story())
    return 1 if any(finding.callers_affected for finding in status.findings) else 0


def _document(status: Status, models: list[dict[str, object]]) -> dict[str, object]:
    supervisor = status.supervisor
    return {
        "data_dir": str(status.data_dir),
        "phase": supervisor.phase if supervisor else "stopped",
        "pid": supervisor.pid if supervisor else None,
        "urls": dict(supervisor.urls) if supervisor else {},
        "findings": msgspec.to_builtins(status.findings),
        "processes": process_rows(status),
        "models": models,
        "requests": dict(status.requests),
        "lag": dict(status.lag),
        "dead_letters": status.dead_letters,
    }


def _tell(status: Status, models: list[dict[str, object]], story: Story) -> None:
    for finding in status.findings:
        affected = "CALLERS ARE AFFECTED: " if finding.callers_affected else ""
        story.warn(f"{affected}{finding.message}  ->  {finding.fix}")
    if not status.findings:
        story.say("All is well.")
    supervisor = status.supervisor
    if supervisor:
        urls = "   ".join(f"{name} {url}" for name, url in supervisor.urls.items())
        story.say(f"\n{urls}\n{status.data_dir}, {supervisor.phase} since {supervisor.started_at:%Y-%m-%d %H:%M} UTC\n")
        print_table(process_rows(status), as_json=False, empty="")
    story.say("")
    print_table(models, as_json=False, empty="No model is served yet.")
    requests = ", ".join(f"{count:,} {end}" for end, count in status.requests.items()) or "none"
    lag = ", ".join(f"{group} {events:,} behind" for group, events in status.lag.items())
    story.say(f"\nRequests since the start: {requests}. Events: {lag}, {status.dead_letters:,} dead letters.")
