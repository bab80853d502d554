"""What can go wrong between a request and its answer, named by what the caller is told.

ServingError                  status, a stable `error_type`, and a message that says what to do
├── RejectedError             the caller's fault
│   ├── MalformedBodyError    400  not JSON, or not one of the accepted shapes
│   ├── InvalidRowsError      422  one FieldProblem per bad field
│   ├── TooLargeError         413  body, rows, depth or event over its limit
│   ├── UnknownModelError     404
│   ├── WrongMethodError      405
│   ├── UnsupportedMediaError 415
│   ├── UnauthenticatedError  401
│   └── ForbiddenError        403  the key lacks the scope
├── ShedError                 429  over the rate; Retry-After
├── NotReadyError             503  no production model yet, with the reason; Retry-After
├── NotRecordedError          503  the log did not take the event; Retry-After
├── EngineError               500  the model failed on these rows
│   ├── RefusedRowsError      422  it does not answer rows like these, e.g. a null
│   └── EngineUnavailableError 503 its process is being restarted; these rows reached no model; Retry-After
└── SetupError                500  for the operator: not safe or not possible as configured
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class FieldProblem:
    """One bad field, in FastAPI's shape: `loc` such as ("body", 0, "petal width (cm)"), `type` a stable name."""

    loc: tuple[str | int, ...]
    msg: str
    type: str


class ServingError(Exception):
    """Root of this package's errors."""

    status: ClassVar[int] = 500
    error_type: ClassVar[str] = "internal"
    retry_after_seconds: float | None = None


class RejectedError(ServingError):
    """The caller's fault; the same request will fail again."""

    status = 400
    error_type = "rejected"


class MalformedBodyError(RejectedError):
    error_type = "malformed_body"


class InvalidRowsError(RejectedError):
    """Some fields do not fit the signature."""

    status = 422
    error_type = "invalid_rows"

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, problem.loc))}: {problem.msg}" for problem in problems))
        self.problems = tuple(problems)


class TooLargeError(RejectedError):
    status = 413
    error_type = "too_large"


class UnknownModelError(RejectedError):
    status = 404
    error_type = "unknown_model"


class WrongMethodError(RejectedError):
    status = 405
    error_type = "wrong_method"


class UnsupportedMediaError(RejectedError):
    status = 415
    error_type = "unsupported_media_type"


class UnauthenticatedError(RejectedError):
    status = 401
    error_type = "unauthenticated"


class ForbiddenError(RejectedError):
    status = 403
    error_type = "forbidden"


class ShedError(ServingError):
    """Too busy, or over the caller's rate."""

    status = 429
    error_type = "shed"

    def __init__(self, message: str, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class NotReadyError(ServingError):
    """No model can answer yet."""

    status = 503
    error_type = "not_ready"
    retry_after_seconds = 2.0


class NotRecordedError(ServingError):
    """The answer was known but could not be recorded, so it is not given."""

    status = 503
    error_type = "not_recorded"

    def __init__(self, message: str, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class EngineError(ServingError):
    """The model failed on these rows."""

    error_type = "engine"


class RefusedRowsError(EngineError):
    """The model does not answer rows like these; the message names what to change."""

    status = 422
    error_type = "refused_rows"


class EngineUnavailableError(EngineError):
    """The model's process is not there; nothing is wrong with the rows."""

    status = 503
    error_type = "engine_unavailable"
    retry_after_seconds = 1.0


class SetupError(ServingError):
    """Not safe or not possible as configured; the message is for the operator and says what to change."""

    error_type = "setup"
