"""Models that only MLflow can load: pyfunc, in whatever library they were made. Only for the model process."""

from pathlib import Path
from typing import Any

from versioning.errors import ArtifactError
from versioning.mlflow_edge import quiet
from versioning.trust import TrustPolicy, check_trust, load_failure


def load_pyfunc(folder: Path, policy: TrustPolicy) -> Any:
    """Loads a model as MLflow's scoring server would; `predict` takes a DataFrame. Imports mlflow: takes seconds.

    Raises:
        ArtifactError: The files are missing or corrupt, or need a package or version that is not here (named).
        ForbiddenModelError: The policy does not allow this model's code to run.
    """
    model = check_trust(folder, policy)
    if "python_function" not in model.flavors:
        raise ArtifactError(f"no pyfunc model: it was logged as {', '.join(model.flavors) or 'nothing'}")
    try:
        with quiet():
            import mlflow.pyfunc  # noqa: PLC0415 - takes seconds

            return mlflow.pyfunc.load_model(str(folder))
    except Exception as error:  # loading runs anybody's code, which may raise anything
        raise ArtifactError(load_failure(model, error)) from error
