"""SIGKILL under load: is every acknowledged row stored exactly once, as it was answered, with its shadow's answer?

Callers send rows and labels without ever trying again, while workers, shadow and indexer are killed in turn. Then
the store is compared with what the callers were told. Rows no caller got an answer to may be there, but never half
of a request.
"""

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from prove.bars import Figure, Result, number, spread
from prove.callers import Caller, Memory, Target
from prove.stored import Account, Promised, compare
from prove.system import System, environment_of, folder_for, running

SEED = 20
KILLS = 20
VICTIMS = ("api-0", "shadow", "api-1", "indexer")
CALLERS = 8
PAUSE_SECONDS = 0.02
GAP_SECONDS = (0.3, 3.0)
RESTART_SECONDS = 30.0
SETTLE_SECONDS = 90.0


def prove() -> Result:
    """Flights: logistic regression answers, gradient boosting in the shadow."""
    with folder_for("no-loss") as folder:
        environment = environment_of(folder, MODELS="flights", WORKERS="2")
        with running(environment) as system:
            return _prove(system)


def _prove(system: System) -> Result:
    versions = system.versions("production", "shadow")
    callers = _callers(system)
    begun = datetime.now(UTC)
    for caller in callers:
        caller.start()
    restarts = kill_in_turn(system, random.Random(SEED))
    _stop(callers)
    ended = datetime.now(UTC)
    settled_seconds = wait_until_settled(system)
    memories = [caller.memory for caller in callers]
    span = (begun - timedelta(seconds=1), ended + timedelta(seconds=1))
    account = compare(Promised.by(memories), system.folder / "store", span, versions["shadow"])
    result = Result("no-loss-smoke", figures(account, len(restarts)))
    result.notes += [*_load_notes(memories, ended - begun), *_store_notes(memories, account)]
    result.notes.append(
        f"a killed process ran again after {spread(restarts)} s (min/median/max); "
        f"everything was accounted for {settled_seconds:.1f} s after the load ended"
    )
    return result


def figures(account: Account, kills: int) -> list[Figure]:
    """Each that must be 0, and the kills."""
    zeros = {
        "acked rows lost": account.lost,
        "acked rows stored twice": account.duplicated,
        "acked rows stored differently": account.differing,
        "requests stored by half": account.half_requests,
        "shadow answers missing": account.answers_missing,
        "shadow answers stored twice": account.answers_duplicated,
        "acked labels lost or stored twice": account.labels_lost + account.labels_duplicated,
    }
    return [
        *(Figure(name, value, 0, "at most") for name, value in zeros.items()),
        Figure("kills", kills, KILLS, "at least"),
    ]


def _callers(system: System) -> list[Caller]:
    (model,) = system.get("/models")["models"]
    production = model["roles"]["production"]
    target = Target(system.url, system.key, production["columns"], production["example"])
    return [Caller(n, target, PAUSE_SECONDS) for n in range(CALLERS)]


def _stop(callers: Sequence[Caller]) -> None:
    for caller in callers:
        caller.over.set()
    for caller in callers:
        caller.join(60)
        if caller.failed or caller.is_alive():
            raise SystemExit(f"{caller.name} could not go on: {caller.failed!r}")


class Killer:
    """Kills processes by name and sees when the supervisor has started them again."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._down: dict[str, tuple[int, float]] = {}
        self.restart_seconds: list[float] = []

    def kill(self, name: str) -> None:
        """Waits until it runs, and kills it."""
        self.wait_for(lambda: name not in self._down)
        (victim,) = self._system.processes(name)
        victim.send_signal(signal.SIGKILL)
        self._down[name] = (victim.pid, time.monotonic())

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Watches the killed until something holds."""
        deadline = time.monotonic() + RESTART_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit(f"not started again within {RESTART_SECONDS:g} s: {', '.join(self._down)}")
            self._look()
            time.sleep(0.01)

    def wait_until(self, moment: float) -> None:
        """Until a reading of the monotonic clock."""
        self.wait_for(lambda: time.monotonic() >= moment)

    def wait_for_all(self) -> None:
        """Until nobody is down."""
        self.wait_for(lambda: not self._down)

    def _look(self) -> None:
        for name, (pid, at) in list(self._down.items()):
            running = self._system.pids().get(name)
            if running not in {None, pid}:
                self.restart_seconds.append(time.monotonic() - at)
                del self._down[name]


def kill_in_turn(system: System, dice: random.Random) -> list[float]:
    """Kills at random moments; returns after how many seconds each killed process ran again."""
    killer = Killer(system)
    for turn in range(KILLS):
        moment = time.monotonic() + dice.uniform(*GAP_SECONDS)
        killer.wait_until(moment)
        killer.kill(VICTIMS[turn % len(VICTIMS)])
    killer.wait_for_all()
    return killer.restart_seconds


def wait_until_settled(system: System) -> float:
    """Until `understudy reconcile` says that everything is accounted for; returns after how many seconds."""
    begun = time.monotonic()
    while time.monotonic() - begun < SETTLE_SECONDS:
        account = json.loads(system.command("reconcile", "--json", check=False).stdout)
        if account["settled"] and account["ok"]:
            return time.monotonic() - begun
    raise SystemExit(f"not everything is accounted for after {SETTLE_SECONDS:g} s: {json.dumps(account)[:3000]}")


def _load_notes(memories: Sequence[Memory], span: timedelta) -> list[str]:
    not_200 = sum((Counter(memory.not_200) for memory in memories), Counter[int]())
    answers, reset = sum(memory.answers for memory in memories), sum(memory.reset for memory in memories)
    gaps = max(memory.longest_gap_seconds for memory in memories)
    statuses = ", ".join(f"{count} x {status}" for status, count in sorted(not_200.items())) or "none"
    return [
        (
            f"{number(answers)} answers with 200 to {CALLERS} callers in {span.total_seconds():.0f} s "
            f"({number(answers / span.total_seconds())} a second); {reset} requests ended without an answer "
            f"(their worker was killed), other statuses: {statuses}; "
            f"no caller was without an answer for more than {gaps:.2f} s"
        )
    ]


def _store_notes(memories: Sequence[Memory], account: Account) -> list[str]:
    acked, labels = sum(len(memory.acked) for memory in memories), sum(len(memory.labelled) for memory in memories)
    return [
        (
            f"{acked:,} rows and {labels:,} labels acknowledged; {account.stored:,} production events stored, "
            f"{account.unacked} of them rows whose caller got no answer"
        ),
        *account.examples,
    ]
