"""What may be loaded: skops files of types we trust; pickle and pyfunc only where the user allows it per model.

A skops file is data: it builds only the types it names, so the list of types is the whole defence. MLflow writes a
list of its own into the model; whoever writes the model writes that list too, so it is not read here.
"""

import importlib.metadata
import pickle
import re
import sys
import warnings
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from versioning.errors import ArtifactError, ForbiddenModelError
from versioning.mlmodel import MlModel, inside, read_mlmodel
from versioning.settings import VersioningSettings

TRUSTED_TYPES: Final = frozenset(
    {
        # skops itself trusts numbers, strings, containers, arrays and scikit-learn's public estimators.
        "numpy.dtype",
        "sklearn.tree._tree.Tree",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.compose._column_transformer._RemainderColsList",
        "sklearn.utils._bunch.Bunch",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.linear_model._sgd_fast.Hinge",
        "sklearn.linear_model._sgd_fast.Log",
        "sklearn.linear_model._sgd_fast.ModifiedHuber",
        "sklearn.linear_model._sgd_fast.SquaredLoss",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.MinkowskiDistance64",
        "sklearn.metrics._dist_metrics.ManhattanDistance64",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.CompoundKernel",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.Matern",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.gaussian_process.kernels.Sum",
        "sklearn.gaussian_process.kernels.WhiteKernel",
    }
)


@dataclass(frozen=True)
class TrustPolicy:
    """What may be loaded under one model's name.

    Attributes:
        pickle_allowed: Whether pickle, cloudpickle and pyfunc may run their code in our process.
        types: Every type a skops file may name beside what skops trusts itself.
        max_bytes: Largest model once it is unpacked.
    """

    model_name: str
    pickle_allowed: bool = False
    types: frozenset[str] = TRUSTED_TYPES
    max_bytes: int = 2 * 1024**3


def trust_policy(settings: VersioningSettings, model_name: str) -> TrustPolicy:
    """The user's policy for one model."""
    return TrustPolicy(
        model_name,
        pickle_allowed=model_name in settings.pickle_models,
        types=TRUSTED_TYPES | settings.extra_trusted_types,
        max_bytes=settings.artifact_max_bytes,
    )


def check_trust(folder: Path, policy: TrustPolicy) -> MlModel:
    """Says whether the model in `folder` may be loaded, without reading a byte that could run.

    Raises:
        ArtifactError: The files are missing or corrupt.
        ForbiddenModelError: The policy refuses them; the message names the setting that would allow it.
    """
    model = read_mlmodel(folder)
    if model.loader == "skops" and not model.code:
        _check_skops(_model_file(folder, model), policy)
    elif not policy.pickle_allowed:
        raise ForbiddenModelError(_refusal(model, policy.model_name))
    return model


def load_sklearn(folder: Path, policy: TrustPolicy) -> Any:
    """Loads a model's scikit-learn estimator, once it is checked. Only for the compile child and the model process.

    Raises:
        ArtifactError: The files are missing or corrupt, it is no scikit-learn model, or it needs a package or a
            version that is not here (named).
        ForbiddenModelError: See `check_trust`.
    """
    model = check_trust(folder, policy)
    if "sklearn" not in model.flavors:
        raise ArtifactError(f"no scikit-learn model: it was logged as {', '.join(model.flavors)}")
    try:
        with warnings.catch_warnings():
            # Of another version's model: whether it still answers right is proven by parity, not by a warning.
            warnings.simplefilter("ignore")
            return _load(folder, model, policy)
    except ArtifactError:
        raise
    except Exception as error:  # unpickling runs anybody's code, which may raise anything
        raise ArtifactError(load_failure(model, error)) from error


def skops_file(estimator: Any) -> bytes:
    """The contents of a model.skops file."""
    import skops.io  # noqa: PLC0415 - brings in all of scikit-learn

    return bytes(skops.io.dumps(estimator))


def audit_types(estimator: Any) -> list[str]:
    """The types in `estimator` that skops does not trust by itself, sorted."""
    import skops.io  # noqa: PLC0415 - brings in all of scikit-learn

    return sorted(skops.io.get_untrusted_types(data=skops_file(estimator)))


def unusable_types(types: Iterable[str]) -> str:
    """What to say about types that are not trusted."""
    names = ",".join(types)
    return f"it holds types that are not trusted: {names}; if you know them to be harmless, set TRUSTED_TYPES={names}"


def _check_skops(path: Path, policy: TrustPolicy) -> None:
    import skops.io  # noqa: PLC0415 - brings in all of scikit-learn

    _check_unpacked_size(path, policy.max_bytes)
    try:
        found = skops.io.get_untrusted_types(file=path)
    except Exception as error:  # it reads a stranger's file: anything may be wrong in it
        raise ArtifactError(f"{path.name} is corrupt: {type(error).__name__}: {error}") from error
    refused = sorted(set(found) - policy.types)
    if refused:
        raise ForbiddenModelError(f"model {policy.model_name!r} is not loaded: {unusable_types(refused)}")


def _check_unpacked_size(path: Path, max_bytes: int) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(item.file_size for item in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise ArtifactError(f"{path.name} is corrupt: {error}") from error
    if unpacked > max_bytes:
        raise ArtifactError(f"{path.name} unpacks to {unpacked} bytes, more than ARTIFACT_MAX_BYTES={max_bytes}")


def _model_file(folder: Path, model: MlModel) -> Path:
    if not model.model_file:
        raise ArtifactError("the MLmodel file does not say which file holds the model")
    path = inside(folder, model.model_file)
    if not path.is_file():
        raise ArtifactError(f"the model's file {model.model_file} is missing")
    return path


def _refusal(model: MlModel, model_name: str) -> str:
    what = f"{model.loader} with Python code of its own" if model.code else model.loader
    advice = (
        "log it again with mlflow.sklearn.log_model(..., serialization_format='skops'), or, "
        if "sklearn" in model.flavors
        else ""
    )
    return (
        f"model {model_name!r} is stored as {what}, and loading that runs whatever code is in it; {advice}"
        f"if you trust who made it, set ALLOW_PICKLE={model_name} (several names: separated by commas)"
    )


def _load(folder: Path, model: MlModel, policy: TrustPolicy) -> Any:
    if model.loader == "skops":
        import skops.io  # noqa: PLC0415 - brings in all of scikit-learn

        return skops.io.load(_model_file(folder, model), trusted=sorted(policy.types))
    if model.code:
        sys.path.insert(0, str(inside(folder, model.code)))
    with _model_file(folder, model).open("rb") as file:
        return pickle.load(file)  # noqa: S301 - the user allowed it for this model


def load_failure(model: MlModel, error: Exception) -> str:
    """Why a model could not be loaded, naming the package or the version it lacks."""
    missing = _missing_module(error)
    if missing is not None:
        package = missing.partition(".")[0]
        wanted = _lines_for(model, package) or _lines_not_installed(model) or [package]
        listed = " ".join(f"'{line}'" for line in wanted)
        return f"the model needs the package {package!r}, which is not installed here: pip install {listed}"
    text = f"the model cannot be loaded: {type(error).__name__}: {str(error)[:300]}"
    others = other_versions(model)
    if not others:
        return text
    listed = ", ".join(f"{package} {theirs} (here {ours})" for package, theirs, ours in others)
    return f"{text}; it was made with {listed}: install that version or train it again with the one here"


def _missing_module(error: BaseException | None) -> str | None:
    """The module that was not found, however deep mlflow wrapped the error."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError):
            return error.name or ""
        error = error.__cause__ or error.__context__
    return None


def _lines_for(model: MlModel, package: str) -> list[str]:
    return [line for line in model.requirements if _distribution(line) == _distribution(package)]


def _lines_not_installed(model: MlModel) -> list[str]:
    """A module may have another name than its package (`cv2` of opencv-python): then it is among these."""
    return [line for line in model.requirements if _distribution(line) and _installed(_distribution(line)) == "none"]


def _distribution(line: str) -> str:
    found = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line.strip())
    return re.sub(r"[-_.]+", "-", found.group()).lower() if found else ""


def other_versions(model: MlModel) -> list[tuple[str, str, str]]:
    """Packages the model pins to another version than the one here: (package, its version, ours or `none`)."""
    pinned = dict(model.versions)
    pinned.pop("python", None)
    pinned.pop("mlflow", None)
    for line in model.requirements:
        package, found, version = line.partition("==")
        if found:
            pinned.setdefault(package.strip().lower(), version.split(";")[0].strip())
    here = {package: _installed(package) for package in pinned}
    return [(package, theirs, here[package]) for package, theirs in pinned.items() if here[package] != theirs]


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return "none"
