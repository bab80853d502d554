"""events, reconcile, dlq: what is stored, what is not, and the proof."""

import msgspec

from streaming.embedded import open_store_reader, redrive_letters, take_stock
from streaming.settings import StreamingSettings
from understudy.cli.output import print_json, print_table
from understudy.story import Story


def show_counts(*, as_json: bool) -> int:
    """Prints how many prediction events are stored; 1 when none."""
    reader = open_store_reader(StreamingSettings())
    rows = [
        {"model": name, "version": version, "role": role, "outcome": outcome, "events": count}
        for (name, version, role, outcome), count in sorted(reader.counts().items())
    ]
    print_table(rows, as_json=as_json, empty="No prediction event is stored yet. Send some: scripts/calls.sh")
    return 0 if rows else 1


def list_dead_letters(*, limit: int, as_json: bool) -> int:
    """Prints the oldest dead letters."""
    reader = open_store_reader(StreamingSettings())
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


def reconcile(*, as_json: bool) -> int:
    """Prints the account of every acknowledged event; 1 when one is unexplained or an answer is missing."""
    with Story(to_stderr=as_json).bar("Counting"):
        report = take_stock(StreamingSettings())
    if as_json:
        print_json(report.document())
    else:
        story = Story()
        for line in report.lines():
            story.say(line)
        settled = "" if report.settled else " so far: something is still on its way, so look again"
        story.say(f"{'Everything is accounted for' if report.ok else 'NOT everything is accounted for'}{settled}.")
    return 0 if report.ok else 1


def redrive(*, as_json: bool) -> int:
    """Offers all dead letters again; 1 when some stay dead."""
    with Story(to_stderr=as_json).bar("Offering the dead letters again"):
        report = redrive_letters(StreamingSettings())
    if as_json:
        print_json(msgspec.to_builtins(report))
    else:
        Story().say(
            f"{report.offered:,} offered: {report.stored:,} stored, {report.duplicates:,} stored before, "
            f"{report.still_dead:,} refused again."
        )
    return 1 if report.still_dead else 0
