from datetime import UTC, datetime
from pathlib import Path

from serving.bundle import Problem, RoleTable
from understudy.readiness import Reply
from understudy.status import Status, process_rows
from understudy.supervisor.state import ChildState, SupervisorState

NOW = datetime(2026, 11, 21, tzinfo=UTC)
RUNNING = SupervisorState(
    pid=1,
    started_at=NOW,
    phase="running",
    children=(ChildState("api-0", 2, 0, NOW), ChildState("shadow", None, 3, NOW, -9)),
)
PROBLEM = Problem(role="shadow", model_version="2", error_type="parity", message="differs", at=NOW)


def status(
    supervisor: SupervisorState | None = RUNNING,
    ready: Reply | None = Reply(200, "{}"),  # noqa: B008 - frozen
    problems: tuple[Problem, ...] = (),
    lag: int = 0,
    dead_letters: int = 0,
) -> Status:
    table = RoleTable(model_name="iris", generation=1, published_at=NOW, problems=list(problems))
    return Status(Path("/data"), supervisor, ready, {"iris": table}, {}, {"indexer": lag}, {}, dead_letters)


def affected(status: Status) -> list[str]:
    return [finding.message for finding in status.findings if finding.callers_affected]


def test_nothing_running_affects_callers() -> None:
    assert affected(status(supervisor=None, ready=None)) == ["Nothing runs here, so nobody is answered."]


def test_an_api_that_is_not_ready_affects_callers_with_its_reason() -> None:
    ready = Reply(503, '{"problems": ["model \'iris\' has no production version yet"]}')

    assert affected(status(ready=ready)) == ["Not ready: model 'iris' has no production version yet"]


def test_an_api_that_does_not_answer_affects_callers() -> None:
    assert affected(status(ready=Reply(0, "timed out"))) == ["The API does not answer: timed out."]


def test_a_dead_shadow_a_refused_version_lag_and_dead_letters_do_not_affect_callers() -> None:
    look = status(problems=(PROBLEM,), lag=10_001, dead_letters=2)

    assert affected(look) == []
    assert [finding.message.split()[0] for finding in look.findings] == ["shadow", "iris", "indexer", "2"]


def test_what_affects_callers_comes_first() -> None:
    look = status(ready=Reply(0, "refused"), dead_letters=1)

    assert look.findings[0].callers_affected


def test_processes_that_do_not_run_come_first() -> None:
    rows = process_rows(status())

    assert [(row["process"], row["pid"]) for row in rows] == [("shadow", "restarting"), ("api-0", "2")]
    assert all(row["does"] for row in rows)
