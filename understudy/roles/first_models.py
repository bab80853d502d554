"""Trains and registers the first models into our own empty registry, then ends; progress on standard output."""

import logging

from understudy.first_models import Progress, tell_progress
from understudy.process import low_priority
from versioning.settings import VersioningSettings

_log = logging.getLogger("understudy.first_models")


def main() -> int:
    """Does nothing in a registry that has models, or that is not ours."""
    settings = VersioningSettings()
    if not settings.own_registry:
        _log.warning("registry_is_not_ours", extra={"tracking_uri": settings.tracking_uri})
        return 0
    low_priority()
    tell_progress(Progress(0.0, "Opening the registry"))
    from modeling.first_models import train_first_models
    from versioning.connect import open_registry, open_tracking

    made = train_first_models(
        open_tracking(settings),
        open_registry(settings),
        roles=(settings.production_alias, next(iter(settings.shadow_alias_names), "shadow")),
        progress=lambda fraction, text: tell_progress(Progress(fraction, text)),
    )
    for version in made:
        _log.info("registered", extra={"model_name": version.model_name, "model_version": version.model_version})
    return 0
