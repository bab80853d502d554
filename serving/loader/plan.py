"""What to publish, when to try a failed version again, which bundles may go. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta

from serving.bundle import Problem, RoleEntry, RoleTable
from serving.loader.specs import PRODUCTION


@dataclass(frozen=True)
class RetryPolicy:
    """A version that failed is tried again after a pause that doubles with each failure."""

    first_pause: timedelta = timedelta(seconds=15)
    longest_pause: timedelta = timedelta(minutes=10)

    def pause(self, failures: int) -> timedelta:
        """After the `failures`-th failure in a row.

        >>> [RetryPolicy().pause(failures).total_seconds() for failures in (1, 2, 3, 50)]
        [15.0, 30.0, 60.0, 600.0]
        """
        return min(self.first_pause * (1 << min(failures - 1, 20)), self.longest_pause)


def next_roles(
    published: RoleTable | None, wanted: Iterable[str], working: Mapping[str, RoleEntry]
) -> dict[str, RoleEntry]:
    """Role to bundle: what works of what is wanted, else what was published for that role.

    A shadow that is no longer wanted goes; production never goes, because callers wait for it.
    """
    before = published.roles if published else {}
    entries = ((role, working.get(role) or before.get(role)) for role in dict.fromkeys((PRODUCTION, *wanted)))
    return {role: entry for role, entry in entries if entry is not None}


def next_table(
    published: RoleTable | None,
    model_name: str,
    roles: Mapping[str, RoleEntry],
    problems: Sequence[Problem],
    *,
    now: datetime,
) -> RoleTable | None:
    """The table to publish, or None when what is published says the same."""
    kept = _with_first_times(published.problems if published else (), problems)
    if published is not None and published.roles == roles and published.problems == kept:
        return None
    if published is None and not roles and not kept:
        return None
    generation = published.generation + 1 if published else 1
    return RoleTable(model_name=model_name, generation=generation, published_at=now, roles=dict(roles), problems=kept)


def _with_first_times(before: Iterable[Problem], problems: Iterable[Problem]) -> list[Problem]:
    """The problems, each with the time it was first seen: an old trouble is no news at every retry."""
    first_seen = {_key(problem): problem for problem in before}
    return [first_seen.get(_key(problem), problem) for problem in problems]


def _key(problem: Problem) -> tuple[str, str | None, str, str]:
    return problem.role, problem.model_version, problem.error_type, problem.message


def disposable(bundles: Mapping[str, datetime], used: AbstractSet[str], keep: int) -> list[str]:
    """Which bundles may be deleted: those without a role, beyond the `keep` newest of them.

    Args:
        bundles: Bundle folder to when it was made.
        used: Bundle folders that have a role.
        keep: How many unused ones stay, newest first, for a quick way back.
    """
    unused = sorted(bundles.keys() - used, key=lambda name: (bundles[name], name), reverse=True)
    return unused[keep:]
