"""The model a version was logged as, whatever library made it. Imports that library: only for who runs the model."""

from pathlib import Path

from serving.engines.original import Predictor
from versioning.mlflow_pyfunc import load_pyfunc
from versioning.mlmodel import MlModel
from versioning.trust import TrustPolicy, load_sklearn


def load_logged(folder: Path, described: MlModel, policy: TrustPolicy) -> Predictor:
    """The estimator of a scikit-learn model, which can be looked into; of any other MLflow's pyfunc, which cannot.

    Raises:
        ArtifactError: The files are missing or corrupt, or need a package or version that is not here (named).
        ForbiddenModelError: The policy does not allow this model's code to run.
    """
    model: Predictor = (load_sklearn if is_sklearn(described) else load_pyfunc)(folder, policy)
    return model


def is_sklearn(described: MlModel) -> bool:
    """Whether scikit-learn's own flavor is among the model's."""
    return "sklearn" in described.flavors
