"""May this caller come in now? Key and scope, then rate, then room."""

from time import monotonic

from serving.auth import Authenticator
from serving.errors import ForbiddenError, UnauthenticatedError
from serving.key_file import Scope
from serving.limits import InFlight, RateLimit
from serving.request import Asked


class Admission:
    """One per worker; its rates and counts are the worker's own."""

    def __init__(self, authenticator: Authenticator, rate: RateLimit, in_flight: InFlight) -> None:
        self._authenticator = authenticator
        self._rate = rate
        self._in_flight = in_flight

    def enter(self, asked: Asked, scope: Scope) -> None:
        """Lets a request in; `leave` must follow once it is answered.

        Raises:
            UnauthenticatedError, ForbiddenError, ShedError: The request was not let in.
        """
        identity = self._authenticator.check(asked.credential, scope)
        self._rate.take(identity.name, monotonic())
        self._in_flight.enter()

    def leave(self) -> None:
        """Counts an answered request out."""
        self._in_flight.leave()

    def require(self, asked: Asked, scope: Scope) -> None:
        """Checks key and scope only.

        Raises:
            UnauthenticatedError, ForbiddenError: The caller may not do this.
        """
        self._authenticator.check(asked.credential, scope)

    def allows(self, asked: Asked, scope: Scope) -> bool:
        """Whether the caller has the scope."""
        try:
            self._authenticator.check(asked.credential, scope)
        except (UnauthenticatedError, ForbiddenError):
            return False
        return True
