"""The models a newcomer starts with: flights, logistic regression in production and boosting in its shadow."""

from collections.abc import Mapping
from types import MappingProxyType

from modeling.datasets.catalog import load_dataset
from modeling.fit import Progress, Recipe
from modeling.train import TrainRequest, train_on
from versioning.registry import ModelVersion, Registry
from versioning.tracking import MODEL_KIND_TAG, Tracking

FIRST_DATASET = "flights"
FIRST_MODEL_TAG = "understudy.first_model"
_KINDS = ("logistic", "boosting")
_START = MappingProxyType({"logistic": 0.1, "boosting": 0.55})


def first_models_wanted(registry: Registry) -> bool:
    """Whether the registry is empty, or holds nothing but the first of the two, where a start was cut off.

    Once both are registered their roles are the user's: one taken away stays away.
    May raise RegistryUnavailableError.
    """
    models = registry.models()
    if models not in ([], [FIRST_DATASET]):
        return False
    versions = registry.versions(FIRST_DATASET) if models else []
    kinds = {version.tags.get(MODEL_KIND_TAG) for version in versions}
    return all(FIRST_MODEL_TAG in version.tags for version in versions) and not kinds.issuperset(_KINDS)


def train_first_models(
    tracking: Tracking,
    registry: Registry,
    *,
    roles: tuple[str, str] = ("production", "shadow"),
    progress: Progress = lambda _fraction, _text: None,
) -> list[ModelVersion]:
    """Trains and registers both, or what a cut-off start left to do; nothing in a registry that has models.

    Args:
        tracking: Where the runs go.
        registry: Our own.
        roles: The aliases of production and shadow.
        progress: Told how far it is.

    Returns:
        The versions registered by this call.

    Raises:
        RegistryUnavailableError: The registry cannot be reached.
    """
    if not first_models_wanted(registry):
        return []
    missing = {kind: role for kind, role in zip(_KINDS, roles, strict=True) if not _adopt(registry, kind, role)}
    return _train(tracking, registry, missing, progress) if missing else []


def _adopt(registry: Registry, kind: str, role: str) -> bool:
    """Gives the role to a version a cut-off start registered; False when there is none."""
    versions = registry.versions(FIRST_DATASET) if FIRST_DATASET in registry.models() else []
    found = [version for version in versions if version.tags.get(MODEL_KIND_TAG) == kind]
    if not found:
        return False
    registry.set_alias(FIRST_DATASET, role, found[-1].model_version)
    return True


def _train(
    tracking: Tracking, registry: Registry, missing: Mapping[str, str], progress: Progress
) -> list[ModelVersion]:
    progress(0.0, "Reading a year of flights")
    dataset = load_dataset(FIRST_DATASET)
    made = []
    for kind, role in missing.items():
        request = TrainRequest(FIRST_DATASET, Recipe(kind), as_role=role, tags={FIRST_MODEL_TAG: "true"})
        trained = train_on(dataset, request, tracking, registry, progress=_part(progress, _START[kind]))
        made.append(trained.version)
    progress(1.0, "The first models are registered")
    return made


def _part(progress: Progress, start: float) -> Progress:
    return lambda share, text: progress(start + 0.45 * share, text)
