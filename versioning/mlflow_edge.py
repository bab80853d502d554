"""The edge to MLflow: quieted before it is imported, bounded in time, its errors turned into ours."""

import logging
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final

from versioning.errors import ArtifactError, ConflictError, NotFoundError, RegistryUnavailableError, VersioningError
from versioning.metrics import REGISTRY_FAILURES
from versioning.settings import VersioningSettings, public_address

_NOT_FOUND = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"})
_DENIED = frozenset({"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"})
_ATTEMPTS = 2
_ACTIVE_STORE: Final = Lock()


def open_client(settings: VersioningSettings) -> Any:
    """An MlflowClient for `settings.tracking_uri`; the first call of a process imports mlflow, which takes seconds.

    Raises:
        RegistryUnavailableError: A store in a file that cannot be opened.
    """
    _configure(settings)
    with translated(settings), quiet():
        import mlflow  # noqa: PLC0415 - takes seconds, and must see the settings above

        client = mlflow.MlflowClient(tracking_uri=settings.tracking_uri, registry_uri=settings.tracking_uri)
        if not settings.tracking_uri.startswith("http"):
            # Creates or upgrades the tables now, where a failure says that the store cannot be opened.
            client.search_registered_models(max_results=1)
        return client


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps back warnings of mlflow about its own insides, which a user can do nothing about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def active_store(settings: VersioningSettings) -> Iterator[None]:
    """Makes our store the process's active one meanwhile, for the calls that ask mlflow for it behind our back.

    MLflow also writes it into the environment, where children (and our settings) would take it for the user's wish:
    that is undone.
    """
    import mlflow  # noqa: PLC0415 - imported with the client

    with _ACTIVE_STORE:
        wished = os.environ.get("MLFLOW_TRACKING_URI")
        try:
            mlflow.set_tracking_uri(settings.tracking_uri)
            yield
        finally:
            os.environ.pop("MLFLOW_TRACKING_URI", None)
            if wished is not None:
                os.environ["MLFLOW_TRACKING_URI"] = wished


@contextmanager
def translated(settings: VersioningSettings, what: str = "") -> Iterator[None]:
    """Turns whatever MLflow raises inside into this package's errors; `what` names the thing asked for."""
    try:
        yield
    except VersioningError:
        raise
    except Exception as error:
        known = _translate(error, settings, what)
        if known is None:
            raise
        if isinstance(known, RegistryUnavailableError):
            REGISTRY_FAILURES.inc()
        raise known from error


def _configure(settings: VersioningSettings) -> None:
    # MLflow has no other way to be told these; half the time for each of two attempts keeps a call within its bound.
    seconds = max(1, math.floor(settings.registry_timeout_seconds / _ATTEMPTS))
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(seconds)
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = str(_ATTEMPTS - 1)
    os.environ["MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR"] = "0"
    os.environ["MLFLOW_HTTP_REQUEST_BACKOFF_JITTER"] = "0"
    os.environ["MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER"] = "false"
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    os.environ["MLFLOW_CONFIGURE_LOGGING"] = "false"
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    if settings.own_registry:
        settings.artifact_root.mkdir(parents=True, exist_ok=True)
        # Without it an embedded store puts the default experiment's files into ./mlruns, wherever that is.
        os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = str(settings.artifact_root)
    _configure_s3(settings)


def _configure_s3(settings: VersioningSettings) -> None:
    secret = settings.aws_secret_access_key.get_secret_value() if settings.aws_secret_access_key else None
    values = {
        "MLFLOW_S3_ENDPOINT_URL": settings.mlflow_s3_endpoint_url,
        "AWS_ACCESS_KEY_ID": settings.aws_access_key_id,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": settings.aws_default_region,
    }
    os.environ.update({name: value for name, value in values.items() if value})


def _translate(error: Exception, settings: VersioningSettings, what: str) -> VersioningError | None:
    where = public_address(settings.tracking_uri)
    return _of_server(error, where) or _of_call(error, where, what)


def _of_server(error: Exception, where: str) -> VersioningError | None:
    """What is wrong with the server rather than with the call."""
    code = str(getattr(error, "error_code", ""))
    if code in _DENIED or "Invalid Host header" in str(error):
        return RegistryUnavailableError(_denied(str(error), where))
    if str(error).startswith("API request to endpoint") and " 404 " in str(error):
        return RegistryUnavailableError(_no_such_route(str(error), where))
    return None


def _of_call(error: Exception, where: str, what: str) -> VersioningError | None:
    module = type(error).__module__.partition(".")[0]
    code = str(getattr(error, "error_code", ""))
    if module == "mlflow" and code in _NOT_FOUND:
        return NotFoundError(f"{what or _reason(error)}: not in the registry at {where}")
    if module == "mlflow" and code == "RESOURCE_ALREADY_EXISTS":
        return ConflictError(f"{what}: {_reason(error)}")
    if module in {"mlflow", "requests", "urllib3", "sqlalchemy", "sqlite3", "alembic"}:
        return RegistryUnavailableError(f"the registry at {where} gave no answer: {_reason(error)}")
    if isinstance(error, OSError):
        return ArtifactError(f"{what or 'files of the registry'} at {where}: {_reason(error)}")
    return None


def _no_such_route(text: str, where: str) -> str:
    if "logged-models" in text:
        return (
            f"the MLflow server at {where} is too old: it has no /logged-models; "
            "run MLflow 3 there (see it with `mlflow --version`)"
        )
    return f"{where} answers, but not as an MLflow server does (404): check MLFLOW_TRACKING_URI"


def _denied(text: str, where: str) -> str:
    if "Invalid Host header" in text:
        return f"the MLflow server at {where} refuses this host name: set MLFLOW_SERVER_ALLOWED_HOSTS where it runs"
    return (
        f"the MLflow server at {where} refuses us: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
        f"or MLFLOW_TRACKING_TOKEN ({text.splitlines()[0][:200]})"
    )


def _reason(error: Exception) -> str:
    """The innermost cause, in one line and without a password."""
    lines = str(error).strip().splitlines()
    if not lines:
        return type(error).__name__
    return public_address(lines[0].rpartition("(Caused by ")[2].removesuffix(")")[:400])
