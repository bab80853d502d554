"""How everything on this machine is doing, worst first: gathered from files and one HTTP call, never from MLflow."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from serving.bundle import RoleTable, read_bundle, read_role_table
from serving.settings import ServingSettings
from streaming.embedded import open_store_reader
from streaming.segments import open_segment_log
from streaming.settings import StreamingSettings
from understudy.readiness import Reply, ask, model_names, reachable_host
from understudy.run import ROLES
from understudy.settings import UnderstudySettings
from understudy.supervisor.state import SupervisorState, read_state

LAG_WORTH_TELLING = 10_000
_MOST_LETTERS = 1_000
_REQUEST_COUNTS = {"prediction_duration_seconds_count": "answered", "rejected_total": "refused"}


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it should be."""

    callers_affected: bool
    message: str
    fix: str


@dataclass(frozen=True)
class Status:
    """One look at the machine.

    Attributes:
        ready: What /ready answered; None when nothing runs.
        stored: Stored prediction events by (model, version, role, outcome).
        lag: Events not yet read, by reader.
        requests: Requests since the start: how many reached a model, how many were refused before.
        dead_letters: How many, at most 1,000 are counted.
    """

    data_dir: Path
    supervisor: SupervisorState | None
    ready: Reply | None
    tables: Mapping[str, RoleTable | None]
    stored: Mapping[tuple[str, str, str, str], int]
    lag: Mapping[str, int]
    requests: Mapping[str, int]
    dead_letters: int

    @property
    def findings(self) -> list[Finding]:
        """Worst first."""
        found = [
            *_api_findings(self.supervisor, self.ready),
            *_process_findings(self.supervisor),
            *_model_findings(self.tables),
            *_event_findings(self.lag, self.dead_letters),
        ]
        return sorted(found, key=lambda finding: not finding.callers_affected)


def look() -> Status:
    """Gathers everything; waits at most two seconds for an API that hangs."""
    settings, serving, streaming = UnderstudySettings(), ServingSettings(), StreamingSettings()
    supervisor = read_state(settings.data_dir / "run")
    store = open_store_reader(streaming)
    return Status(
        data_dir=settings.data_dir.absolute(),
        supervisor=supervisor,
        ready=_ask_ready(supervisor, serving),
        tables={name: read_role_table(serving.bundles_dir / name) for name in model_names(serving)},
        stored=store.counts(),
        lag={group: _lag(streaming, group) for group in _groups(streaming)},
        requests=_requests(settings.data_dir / "run" / "metrics") if supervisor else {},
        dead_letters=len(store.dead_letters(limit=_MOST_LETTERS)),
    )


def model_rows(status: Status, bundles_dir: Path) -> list[dict[str, Any]]:
    """Who has which role, with what it is and how often it has answered."""
    rows = []
    for name, table in status.tables.items():
        for role, entry in table.roles.items() if table else ():
            bundle = read_bundle(bundles_dir / name / entry.bundle)
            stored = {
                outcome: sum(
                    count
                    for key, count in status.stored.items()
                    if key == (name, entry.model_version, _recorded_as(role), outcome)
                )
                for outcome in ("ok", "error")
            }
            rows.append(
                {
                    "model": name,
                    "role": role,
                    "version": entry.model_version,
                    "engine": bundle.engine,
                    "trained": bundle.trained_at,
                    "accuracy": bundle.metrics.get("evaluation_accuracy"),
                    "stored": stored["ok"],
                    "errors": stored["error"],
                }
            )
    return rows


def process_rows(status: Status) -> list[dict[str, Any]]:
    """The processes, those that do not run first."""
    children = status.supervisor.children if status.supervisor else ()
    rows = [
        {
            "process": child.name,
            "pid": str(child.pid) if child.pid else "restarting",
            "restarts": child.restarts,
            "since": child.started_at,
            "does": ROLES.get(child.name, ROLES.get(child.name.split("-")[0], "")).split(";")[0].split(" (--")[0],
        }
        for child in children
    ]
    return sorted(rows, key=lambda row: row["pid"] != "restarting")


def _recorded_as(role: str) -> str:
    return role if role == "production" else "shadow"


def _ask_ready(supervisor: SupervisorState | None, serving: ServingSettings) -> Reply | None:
    if supervisor is None:
        return None
    port = supervisor.ports.get("API_PORT", serving.api_port)
    return ask(reachable_host(serving.api_host), port, "/ready", timeout_seconds=2.0)


def _groups(streaming: StreamingSettings) -> list[str]:
    return [streaming.log_required_group]


def _lag(streaming: StreamingSettings, group: str) -> int:
    if not streaming.log_dir.exists():
        return 0
    reader = open_segment_log(streaming).reader(group)
    try:
        return sum(reader.lag().values())
    finally:
        reader.close()


def _requests(metrics_dir: Path) -> dict[str, int]:
    from prometheus_client import CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector

    if not metrics_dir.is_dir():
        return {}
    collector = MultiProcessCollector(CollectorRegistry(), str(metrics_dir))  # type: ignore[no-untyped-call]  # it has no types
    counted: Counter[str] = Counter()
    for family in collector.collect():  # type: ignore[no-untyped-call]  # neither has this
        for sample in family.samples:
            if sample.name in _REQUEST_COUNTS:
                counted[_REQUEST_COUNTS[sample.name]] += int(sample.value)
    return dict(sorted(counted.items()))


def _api_findings(supervisor: SupervisorState | None, ready: Reply | None) -> list[Finding]:
    if supervisor is None or ready is None:
        return [Finding(True, "Nothing runs here, so nobody is answered.", "understudy up")]
    if ready.status == 200:
        return []
    if ready.status == 0:
        return [Finding(True, f"The API does not answer: {ready.text}.", "understudy logs api")]
    if supervisor.phase == "training":
        return [Finding(True, "The first models are being trained.", "wait a minute")]
    reasons: Sequence[str] = ready.document().get("problems") or [ready.text]
    return [Finding(True, f"Not ready: {reason}", "understudy logs loader") for reason in reasons]


def _process_findings(supervisor: SupervisorState | None) -> list[Finding]:
    return [
        Finding(False, f"{child.name} keeps ending (exit code {child.last_exit}).", f"understudy logs {child.name}")
        for child in (supervisor.children if supervisor else ())
        if child.pid is None and supervisor is not None and supervisor.phase != "stopping"
    ]


def _model_findings(tables: Mapping[str, RoleTable | None]) -> list[Finding]:
    return [
        Finding(
            False,
            f"{name} {problem.role}: version {problem.model_version or '-'} is not served, the one before stays: "
            f"{problem.message}",
            "understudy logs loader",
        )
        for name, table in tables.items()
        for problem in (table.problems if table else ())
    ]


def _event_findings(lag: Mapping[str, int], dead_letters: int) -> list[Finding]:
    behind = [
        Finding(False, f"{group} is {events:,} events behind.", f"understudy logs {group}")
        for group, events in lag.items()
        if events > LAG_WORTH_TELLING
    ]
    if dead_letters:
        behind.append(Finding(False, f"{dead_letters:,} events could not be stored.", "understudy dlq list"))
    return behind
