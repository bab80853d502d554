"""Who is calling, and what may they do: API keys with scopes."""

import ipaddress
import logging
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from serving.errors import ForbiddenError, SetupError, UnauthenticatedError
from serving.key_file import SCOPES, ApiKey, Scope, digest, list_keys

_log = logging.getLogger("understudy.serving")
_LOOK_SECONDS = 1.0
_MOST_CACHED = 1024
_LONGEST_HEADER = 512


@dataclass(frozen=True, slots=True)
class KeyIdentity:
    """Whom a key belongs to, by the name it was given."""

    name: str
    scopes: frozenset[Scope]


ANYONE = KeyIdentity("anyone", frozenset(SCOPES))
"""The caller in open mode."""


class Authenticator:
    """Checks keys against the key file, which is read again within a second of a change.

    Open to anyone as long as it has never seen a key. Once it has, an emptied or lost file closes it for all:
    it opens again only by a restart, which `require_safe` watches over. An unreadable file leaves the last
    keys in force.

    Args:
        path: The key file; need not exist.
        clock: Monotonic seconds.

    Raises:
        SetupError: The file exists and cannot be read.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._mark = _mark(path)
        self._look_at = clock() + _LOOK_SECONDS
        self._open = True
        self._keys: dict[str, KeyIdentity] = {}
        self._known_headers: dict[bytes, KeyIdentity] = {}
        self._take(list_keys(path))
        if self._mark is not None and stat.S_IMODE(path.stat().st_mode) & 0o077:
            _log.warning("key_file_readable_by_others", extra={"path": str(path), "fix": f"chmod 600 {path}"})

    @property
    def is_open(self) -> bool:
        """Whether anyone may do anything."""
        return self._open

    def check(self, header_value: bytes | None, scope: Scope) -> KeyIdentity:
        """Who sent this `Authorization: Bearer KEY` or `X-API-Key: KEY` value, if the key has the scope.

        Raises:
            UnauthenticatedError: No key, or one that is not known (any more).
            ForbiddenError: The key lacks the scope.
        """
        if self._clock() >= self._look_at:
            self._look()
        if self._open:
            return ANYONE
        identity = self._known_headers.get(header_value or b"") or self._identify(header_value)
        if scope not in identity.scopes:
            raise ForbiddenError(
                f"the key {identity.name!r} lacks the scope {scope!r} (it has: {', '.join(sorted(identity.scopes))})"
            )
        return identity

    def _identify(self, header_value: bytes | None) -> KeyIdentity:
        if not header_value:
            raise UnauthenticatedError(
                "an API key is needed: send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'"
            )
        scheme, _, rest = header_value[:_LONGEST_HEADER].strip().partition(b" ")
        secret = rest.strip() if rest and scheme.lower() == b"bearer" else scheme
        identity = self._keys.get(digest(secret))
        if identity is None:
            raise UnauthenticatedError("the API key is not known: check it, or ask for a new one")
        if len(self._known_headers) >= _MOST_CACHED:
            self._known_headers.clear()
        self._known_headers[header_value] = identity
        return identity

    def _look(self) -> None:
        self._look_at = self._clock() + _LOOK_SECONDS
        mark = _mark(self._path)
        if mark == self._mark:
            return
        try:
            self._take(list_keys(self._path))
        except SetupError:
            _log.exception("keys_not_reloaded")
        self._mark = mark

    def _take(self, keys: list[ApiKey]) -> None:
        self._keys = {key.sha256: KeyIdentity(key.name, frozenset(key.scopes)) for key in keys}
        self._known_headers = {}
        self._open = self._open and not keys


def require_safe(host: str, authenticator: Authenticator) -> None:
    """Refuses to serve other machines without keys.

    Raises:
        SetupError: `host` is not a loopback address and there is no key; says what to do.
    """
    if authenticator.is_open and not is_loopback(host):
        raise SetupError(
            f"API_HOST={host} can be reached from other machines and there is no API key: "
            "make one with `understudy keys create NAME`, or set API_HOST=127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
