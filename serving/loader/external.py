"""Tells our own promotions from changes that somebody made in the registry itself. Pure.

Our own commands record a change in the registry's history and append the control event themselves. A change
without a record is external. An alias moves before its record is written, so a change is only called external
when the next look finds no record either.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from versioning.registry import RoleChange


class Suspect(msgspec.Struct, frozen=True):
    """A change without a record, seen once. Its event id is kept, so that reporting it twice is one event."""

    model_version: str
    control_id: str


class Seen(msgspec.Struct, frozen=True):
    """What the loader last saw of a model's production, kept over restarts.

    Attributes:
        production: Version that was production, None before the first.
        recorded_at: Time of the last recorded change that was taken into account.
    """

    production: str | None = None
    recorded_at: datetime | None = None
    suspect: Suspect | None = None


class Change(msgspec.Struct, frozen=True):
    """An external change to report."""

    control_id: str
    before: str
    after: str


def look(seen: Seen, production: str, history: Sequence[RoleChange], new_id: str) -> tuple[Seen, Change | None]:
    """What is known after seeing `production`, and the external change to report first, if any.

    The state returned beside a change is to be kept only once the change is reported.
    """
    recorded_at = max((change.at for change in history), default=seen.recorded_at)
    settled = Seen(production, recorded_at)
    if seen.production in (None, production):
        return settled, None
    news = [change for change in history if seen.recorded_at is None or change.at > seen.recorded_at]
    if news and max(news, key=lambda change: change.at).model_version == production:
        return settled, None
    if seen.suspect is None or seen.suspect.model_version != production:
        return Seen(seen.production, seen.recorded_at, Suspect(production, new_id)), None
    return settled, Change(seen.suspect.control_id, seen.production or "", production)
