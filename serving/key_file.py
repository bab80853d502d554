"""The file of API keys: names, scopes and SHA-256 digests; a secret is shown once and kept nowhere."""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

import msgspec

from serving.errors import SetupError

Scope = Literal["predict", "feedback", "admin", "metrics", "simulate"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
_PREFIX = "us_"
_SECRET_BYTES = 32
_LONGEST_NAME = 64


class ApiKey(msgspec.Struct, frozen=True):
    """One key as it is kept; `sha256` is the hexadecimal digest of the whole secret, prefix included."""

    name: str
    sha256: str
    scopes: tuple[Scope, ...]
    created_at: datetime


class _KeyFile(msgspec.Struct, forbid_unknown_fields=True):
    keys: list[ApiKey] = []


def digest(secret: bytes) -> str:
    """What is kept of a secret. No salt, no stretching: it has 256 random bits, there is nothing to guess."""
    return hashlib.sha256(secret).hexdigest()


def list_keys(path: Path) -> list[ApiKey]:
    """The keys in the file, oldest first; none when there is no file.

    Raises:
        SetupError: The file cannot be read as one of keys.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=_KeyFile).keys
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SetupError(f"the API key file {path} cannot be read: {error}; restore it or make new keys") from error


def create_key(path: Path, name: str, scopes: Sequence[Scope], *, now: datetime) -> str:
    """Adds a key and returns its secret, which can never be shown again.

    Raises:
        SetupError: The name is taken or unusable, a scope is unknown, or the file cannot be read.
    """
    _require_usable(name, scopes)
    secret = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    with _locked(path):
        keys = list_keys(path)
        if any(key.name == name for key in keys):
            raise SetupError(f"there is a key named {name!r} already: choose another name or revoke it first")
        kept = ApiKey(name, digest(secret.encode()), tuple(dict.fromkeys(scopes)), now)
        _write(path, [*keys, kept])
    return secret


def revoke_key(path: Path, name: str) -> None:
    """Removes a key; running workers refuse it within a second.

    Raises:
        SetupError: There is no such key, or the file cannot be read.
    """
    with _locked(path):
        keys = list_keys(path)
        left = [key for key in keys if key.name != name]
        if len(left) == len(keys):
            names = ", ".join(key.name for key in keys) or "none"
            raise SetupError(f"there is no key named {name!r}; keys: {names}")
        _write(path, left)


def _require_usable(name: str, scopes: Sequence[str]) -> None:
    if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise SetupError(f"{name!r} cannot name a key: use 1 to {_LONGEST_NAME} printable characters")
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        problem = f"there is no scope {unknown[0]!r}" if unknown else "a key without a scope opens nothing"
        raise SetupError(f"{problem}: choose from {', '.join(SCOPES)}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keeps two commands from overwriting each other's key. Readers need no lock: the file is replaced whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, keys: list[ApiKey]) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(_KeyFile(keys))))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
