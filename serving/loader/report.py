"""Reports changes of production made outside Understudy as `promoted` events, each once, over restarts too."""

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from serving.loader.external import Change, Seen, look
from streaming.codec import encode
from streaming.errors import LogUnavailableError
from streaming.events import ControlEvent
from streaming.ids import new_event_ids
from streaming.log import EventLog
from versioning.registry import Registry

_log = logging.getLogger("understudy.serving")


class ChangeReporter:
    """Remembers, beside the bundles, what was production last.

    Args:
        folder: Of a model's bundles, by name.
    """

    def __init__(self, folder: Callable[[str], Path], log: EventLog) -> None:
        self._folder = folder
        self._log = log

    def __call__(self, registry: Registry, model_name: str, production: str) -> None:
        """Takes note of `production`; may raise RegistryUnavailableError. A full log is tried again next time."""
        path = self._folder(model_name) / ".production.json"
        seen = _read(path)
        now, change = look(seen, production, registry.history(model_name), new_event_ids(1)[0])
        if change is not None and not self._append(model_name, change):
            return
        if now != seen:
            _write(path, now)

    def _append(self, model_name: str, change: Change) -> bool:
        try:
            writer = self._log.writer()
            try:
                writer.append([[encode(_event(model_name, change, datetime.now(UTC)))]])
            finally:
                writer.close()
        except LogUnavailableError as error:
            _log.warning("external_change_not_recorded", extra={"model_name": model_name, "error": str(error)})
            return False
        fields = {"model_name": model_name, "from_version": change.before, "to_version": change.after}
        _log.info("external_change", extra=fields)
        return True


def _event(model_name: str, change: Change, now: datetime) -> ControlEvent:
    return ControlEvent(
        event_time=now,
        recorded_at=now,
        control_id=change.control_id,
        kind="promoted",
        model_name=model_name,
        model_version=change.after,
        source="external",
        evidence={"from": change.before, "to": change.after},
    )


def _read(path: Path) -> Seen:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Seen)
    except (FileNotFoundError, msgspec.DecodeError):
        return Seen()


def _write(path: Path, seen: Seen) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_bytes(msgspec.json.encode(seen))
    draft.replace(path)
