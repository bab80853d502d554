"""The proof that nothing is lost: every acked event has ended somewhere, every shadow has answered.

    acked = stored + duplicates + dead-lettered + expired + quarantined + pending      per log partition
    owed  = answered + not read yet + on its way                                       per shadow version

Pure: what is compared is given. It may be taken while everything runs, if it is taken in this order: what the
shadows have committed, what the indexer has committed, the store's counts, the missing answers, and last the ends
of the log's partitions. Then an event lacks only when it truly does: what was committed before the counts were
taken must be among them, and nothing may be among them that the log had not acked after.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from streaming.store import MissingAnswer, PartitionCount

_NOTHING = PartitionCount(0, 0, 0, 0)
_NAMED_IDS = 20


class ShadowStart(msgspec.Struct, frozen=True):
    """From when a version should have answered in the shadow, as its `shadow_started` event recorded.

    Attributes:
        model_name: The model.
        model_version: The version that answers in the shadow.
        alias: The alias that made it a shadow.
        received_from: Receive time of the first event it owes an answer to, UTC.
        fraction: Share of the events it answers, by `streaming.ids.sample_position`.
        superseded: Whether another version has taken its alias since: it reads no further.
    """

    model_name: str
    model_version: str
    alias: str
    received_from: datetime
    fraction: float = 1.0
    superseded: bool = False

    @property
    def group(self) -> str:
        """Name of the group as which this shadow reads the log."""
        return f"shadow-{self.alias}-{self.model_name}-{self.model_version}"


class LogEnd(msgspec.Struct, frozen=True):
    """What a log partition has acked in all, and how much of that its readers found damaged."""

    acked: int
    quarantined: int = 0


class PartitionAccount(msgspec.Struct, frozen=True):
    """How the events of one partition ended.

    Attributes:
        pending: Acked and not yet committed by the indexer.
        unexplained: Above 0, events that were committed and ended nowhere: lost. Below 0, events accounted for that
            the log never acked.
    """

    partition: str
    acked: int
    stored: int
    duplicates: int
    dead_lettered: int
    expired: int
    quarantined: int
    pending: int
    unexplained: int


class ShadowAccount(msgspec.Struct, frozen=True):
    """What one shadow version owes.

    Attributes:
        pending: Events it has not read yet; 0 for a superseded version, which reads no further.
        on_its_way: Missing answers that may be in the log and not yet in the store.
        unanswered: Missing answers to events it has read.
        event_ids: Some of the events without an answer.
    """

    model_name: str
    model_version: str
    alias: str
    superseded: bool
    pending: int
    on_its_way: int
    unanswered: int
    event_ids: list[str]


class ReconcileReport(msgspec.Struct, frozen=True):
    """The account of all partitions and shadows."""

    partitions: list[PartitionAccount]
    shadows: list[ShadowAccount]

    @property
    def ok(self) -> bool:
        """Whether every event is explained and every answer that is owed is there or still to come."""
        return not any(account.unexplained for account in self.partitions) and not any(
            account.unanswered for account in self.shadows
        )

    @property
    def settled(self) -> bool:
        """Whether nothing is pending or on its way, so that the account is final."""
        return not any(account.pending for account in self.partitions) and not any(
            account.pending or account.on_its_way for account in self.shadows
        )

    def totals(self) -> PartitionAccount:
        """All partitions together; losses and surpluses do not cancel out, `unexplained` counts both."""
        columns = PartitionAccount.__struct_fields__[1:]
        sums = {column: sum(abs(getattr(account, column)) for account in self.partitions) for column in columns}
        return PartitionAccount(partition="all", **sums)

    def document(self) -> dict[str, Any]:
        """The report for `--json`."""
        return {
            "ok": self.ok,
            "settled": self.settled,
            "totals": msgspec.to_builtins(self.totals()),
            "partitions": msgspec.to_builtins(self.partitions),
            "shadows": msgspec.to_builtins(self.shadows),
        }

    def lines(self) -> list[str]:
        """The report for a person: the sum, then what is wrong, then the shadows."""
        sums = self.totals()
        total = (
            f"{sums.acked:,} acked = {sums.stored:,} stored + {sums.duplicates:,} duplicates + "
            f"{sums.dead_lettered:,} dead-lettered + {sums.expired:,} expired + {sums.quarantined:,} quarantined + "
            f"{sums.pending:,} pending; {sums.unexplained:,} unexplained"
        )
        wrong = [_partition_line(account) for account in self.partitions if account.unexplained]
        return [total, *wrong, *map(_shadow_line, self.shadows)]


def reconcile(
    ends: Mapping[str, LogEnd],
    committed: Mapping[str, int],
    counts: Mapping[str, PartitionCount],
    shadows: Sequence[tuple[ShadowStart, Mapping[str, int], Sequence[MissingAnswer]]],
) -> ReconcileReport:
    """Compares what the log acked with how it ended.

    Args:
        ends: Per partition what the log acked, taken last.
        committed: Per partition what the indexer has committed, taken before `counts`.
        counts: How the events of each partition ended.
        shadows: Each version that owes answers, what its group has committed, and the answers that are missing.
    """
    names = sorted({*ends, *counts})
    partitions = [
        _account(name, ends.get(name, LogEnd(0)), committed.get(name, 0), counts.get(name, _NOTHING)) for name in names
    ]
    unindexed = sum(account.pending for account in partitions)
    return ReconcileReport(
        partitions=partitions,
        shadows=[_shadow_account(start, read, missing, unindexed) for start, read, missing in shadows],
    )


def _account(name: str, end: LogEnd, committed: int, count: PartitionCount) -> PartitionAccount:
    ended = sum(count) + end.quarantined
    lost, surplus = max(0, committed - ended), max(0, ended - end.acked)
    return PartitionAccount(
        name,
        end.acked,
        *count,
        quarantined=end.quarantined,
        pending=max(0, end.acked - max(ended, committed)),
        unexplained=lost - surplus,
    )


def _shadow_account(
    start: ShadowStart, read: Mapping[str, int], missing: Sequence[MissingAnswer], unindexed: int
) -> ShadowAccount:
    due = [answer for answer in missing if answer.offset < read.get(answer.partition, 0)]
    on_its_way = min(len(due), unindexed)
    return ShadowAccount(
        start.model_name,
        start.model_version,
        start.alias,
        superseded=start.superseded,
        pending=0 if start.superseded else len(missing) - len(due),
        on_its_way=on_its_way,
        unanswered=len(due) - on_its_way,
        event_ids=[answer.event_id for answer in due[:_NAMED_IDS]],
    )


def shadow_starts(controls: Sequence[Mapping[str, Any]]) -> list[ShadowStart]:
    """Reads `shadow_started` control documents, newest first, as the store gives them.

    The newest event of a version counts: a version that is a shadow again announces its first start again, and one
    whose fraction changed owes the new fraction from then on. Of one model and alias only the newest version is not
    superseded. Events without readable evidence are passed over.
    """
    starts: dict[tuple[str, str, str], ShadowStart] = {}
    newest: dict[tuple[str, str], str] = {}
    for control in controls:
        try:
            start = _start(control)
        except (KeyError, TypeError, ValueError):
            continue
        version = newest.setdefault((start.model_name, start.alias), start.model_version)
        starts.setdefault(
            (start.model_name, start.alias, start.model_version),
            msgspec.structs.replace(start, superseded=version != start.model_version),
        )
    return list(starts.values())


def _start(control: Mapping[str, Any]) -> ShadowStart:
    evidence = control["evidence"]
    return ShadowStart(
        model_name=control["model_name"],
        model_version=control["model_version"],
        alias=evidence.get("role", "shadow"),
        received_from=datetime.fromisoformat(evidence["received_from"]).astimezone(UTC),
        fraction=float(evidence.get("fraction", 1.0)),
    )


def _partition_line(account: PartitionAccount) -> str:
    if account.unexplained > 0:
        return f"LOST {account.unexplained:,} of partition {account.partition}: committed, but neither stored nor set aside"
    return (
        f"TOO MANY: partition {account.partition} accounts for {-account.unexplained:,} more than the log acked "
        "(was the log deleted, or its tail lost in a power cut?)"
    )


def _shadow_line(account: ShadowAccount) -> str:
    word = "MISSING" if account.unanswered else "ok"
    return (
        f"{word}: shadow {account.model_name}/{account.model_version} ({account.alias}) owes {account.unanswered:,} "
        f"answers, has {account.pending:,} events to read and {account.on_its_way:,} answers on their way"
        f"{', superseded' if account.superseded else ''}"
    )
