"""simulate: a caller that sends a dataset's rows and, as it becomes known, the truth."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modeling.api_client import Address
from modeling.datasets.catalog import load_dataset
from modeling.simulator import Plan, Report, simulate
from modeling.stream import simulated_rows
from serving.settings import ServingSettings
from understudy.cli.output import print_json
from understudy.readiness import base_url
from understudy.settings import UnderstudySettings
from understudy.story import Story
from understudy.supervisor.state import read_state

__all__ = ["Choice", "Plan", "send"]
API_KEY = "API_KEY"


@dataclass(frozen=True)
class Choice:
    """What to send: which dataset, how many rows of which months, in which order."""

    dataset: str
    target: str | None = None
    months: Sequence[str] = ()
    rows: int = 1000
    seed: int = 0


def send(choice: Choice, plan: Plan, *, url: str | None, api_key: str | None, as_json: bool) -> int:
    """Sends with a bar; 1 when a row was not answered or a label not taken."""
    story = Story(to_stderr=as_json)
    address = Address(url or local_url(), api_key or os.environ.get(API_KEY))
    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda _number, _frame: stop.set())
    with story.bar(f"Reading {choice.dataset}"):
        dataset = load_dataset(choice.dataset, target=choice.target)
    rows = simulated_rows(dataset, seed=choice.seed, months=tuple(choice.months), rows=choice.rows)
    with story.bar(f"Sending to {address.url}", choice.rows) as bar:
        report = simulate(rows, address, plan, stop=stop, on_progress=lambda report: bar.to(report.sent))
    if as_json:
        print_json(document(report))
    else:
        _tell(report, story)
    return 0 if report.ok else 1


def local_url() -> str:
    """Where the API of this machine answers."""
    serving = ServingSettings()
    state = read_state(UnderstudySettings().data_dir / "run")
    return base_url(serving.api_host, state.ports.get("API_PORT", serving.api_port) if state else serving.api_port)


def document(report: Report) -> dict[str, Any]:
    """The report for `--json`; response times in seconds, counted from when a row was due."""
    return {
        "sent": report.sent,
        "statuses": {str(status): count for status, count in sorted(report.statuses.items())},
        "failures": dict(report.failures),
        "labels_recorded": report.labels_recorded,
        "label_failures": dict(report.label_failures),
        "response_seconds": {name: report.quantile_seconds(share) for name, share in QUANTILES.items()},
        "first_rejection": report.first_rejection,
    }


QUANTILES = {"min": 0.0, "median": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


def _tell(report: Report, story: Story) -> None:
    answers = Counter({f"{count:,} with {status}": count for status, count in report.statuses.items()})
    story.say(f"{report.sent:,} rows sent: {', '.join(name for name, _ in answers.most_common()) or 'none answered'}.")
    for reason, count in report.failures.items():
        story.warn(f"{count:,} without an answer: {reason}")
    for reason, count in report.label_failures.items():
        story.warn(f"{count:,} labels not taken: {reason}")
    if report.first_rejection:
        story.warn(f"The first refusal: {report.first_rejection}")
    times = [
        f"{name} {seconds * 1000:.1f} ms"
        for name, share in QUANTILES.items()
        if (seconds := report.quantile_seconds(share)) is not None
    ]
    story.say(
        f"Response time from when a row was due: {', '.join(times) or '-'}. {report.labels_recorded:,} labels recorded."
    )
