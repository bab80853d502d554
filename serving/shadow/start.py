"""From when on a version answers in the shadow: decided once, announced in the log, kept over restarts."""

import os
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from serving.shadow.answers import Understudy
from streaming.codec import encode
from streaming.events import ControlEvent
from streaming.ids import new_event_ids
from streaming.log import EventWriter


class Start(msgspec.Struct, frozen=True):
    """When a version began, and its newest `shadow_started` event.

    Attributes:
        control_id: Of the event: announcing it twice is one event.
        reads_from: Where a partition that was never committed begins; never moves.
        received_from: Events received since then are owed an answer, with this `fraction`.
        announced: Whether the event is in the log.
    """

    control_id: str
    reads_from: datetime
    received_from: datetime
    fraction: float
    announced: bool = False


class Starts(msgspec.Struct, frozen=True):
    """All versions one alias of one model ever had; `current` has it now."""

    current: str | None = None
    versions: dict[str, Start] = {}


def next_starts(known: Starts, who: Understudy, backfill: timedelta, now: datetime, *, new_id: str) -> Starts:
    """What holds once `who` has the alias. Pure.

    The first start of a version reaches back by `backfill`. A version that has the alias again goes on where it
    was, and that is announced again: readers of the log take the newest announcement for the current shadow. A
    changed fraction counts from now.
    """
    start = known.versions.get(who.model_version)
    if start is None:
        start = Start(new_id, now - backfill, now - backfill, who.fraction)
    elif start.fraction != who.fraction:
        start = Start(new_id, start.reads_from, now, who.fraction)
    elif known.current != who.model_version:
        start = msgspec.structs.replace(start, control_id=new_id, announced=False)
    return Starts(who.model_version, {**known.versions, who.model_version: start})


def begin(who: Understudy, path: Path, writer: EventWriter, backfill: timedelta, *, now: datetime) -> Start:
    """Decides or recalls the start and sees to it that it is announced.

    The decision is kept before it is announced, so that a crash between the two repeats the same event.

    Raises:
        LogUnavailableError: It could not be announced; call again later.
    """
    known = _read(path)
    starts = next_starts(known, who, backfill, now, new_id=new_event_ids(1)[0])
    start = starts.versions[who.model_version]
    if starts != known:
        _write(path, starts)
    if start.announced:
        return start
    writer.append([[encode(_event(who, start, now))]])
    announced = msgspec.structs.replace(start, announced=True)
    _write(path, Starts(starts.current, {**starts.versions, who.model_version: announced}))
    return announced


def _event(who: Understudy, start: Start, now: datetime) -> ControlEvent:
    evidence = {"received_from": start.received_from.isoformat(), "fraction": start.fraction, "role": who.alias}
    return ControlEvent(
        event_time=now,
        recorded_at=now,
        control_id=start.control_id,
        kind="shadow_started",
        model_name=who.model_name,
        model_version=who.model_version,
        evidence=evidence,
    )


def _read(path: Path) -> Starts:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Starts)
    except (FileNotFoundError, msgspec.DecodeError):
        return Starts()


def _write(path: Path, starts: Starts) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(msgspec.json.encode(starts))
    draft.replace(path)
