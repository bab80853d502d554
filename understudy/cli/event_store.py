"""events, reconcile, dlq: what is stored, what is not, and the proof."""

from streaming.settings import StreamingSettings
from streaming.sqlite import SqliteStoreReader
from understudy.cli.output import print_table


def show_counts(*, as_json: bool) -> int:
    """Prints how many prediction events are stored; 1 when none."""
    reader = SqliteStoreReader(StreamingSettings().store_dir)
    rows = [
        {"model": name, "version": version, "role": role, "outcome": outcome, "events": count}
        for (name, version, role, outcome), count in sorted(reader.counts().items())
    ]
    print_table(rows, as_json=as_json, empty="No prediction event is stored yet. Send some: scripts/calls.sh")
    return 0 if rows else 1


def list_dead_letters(*, limit: int, as_json: bool) -> int:
    """Prints the oldest dead letters."""
    reader = SqliteStoreReader(StreamingSettings().store_dir)
    rows = [
        {
            "recorded_at": letter.recorded_at,
            "reason": letter.reason,
            "detail": letter.detail,
            "partition": letter.record.partition,
            "sequence": letter.record.offset,
            "bytes": len(letter.record.value),
        }
        for letter in reader.dead_letters(limit=limit)
    ]
    print_table(rows, as_json=as_json, empty="No dead letters.")
    return 0
