"""Opens the registry and the runs the settings name. MLflow is imported here and only when it is really used."""

from versioning.registry import Registry
from versioning.settings import VersioningSettings
from versioning.tracking import Tracking


def open_registry(settings: VersioningSettings) -> Registry:
    """The registry at `settings.tracking_uri`. The first call of a process takes seconds: it imports mlflow."""
    from versioning.mlflow_registry import MlflowRegistry  # noqa: PLC0415 - mlflow takes seconds to import

    return MlflowRegistry(settings)


def open_tracking(settings: VersioningSettings) -> Tracking:
    """The runs at `settings.tracking_uri`. The first call of a process takes seconds: it imports mlflow."""
    from versioning.mlflow_tracking import MlflowTracking  # noqa: PLC0415 - mlflow takes seconds to import

    return MlflowTracking(settings)
