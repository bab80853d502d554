"""Errors in words: what our own packages raise is printed as it is, everything else is a defect with a traceback."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any


def complain(message: str) -> int:
    """Prints to standard error; the exit code of a command that cannot be carried out."""
    sys.stderr.write(f"{message}\n")
    return 2


def explain(error: Exception) -> int:
    """Prints an error of ours in words and returns the exit code; raises any other again."""
    message = in_words(error)
    if message is None:
        raise error
    return complain(message)


def in_words(error: Exception) -> str | None:
    """What to tell a person, or None for a defect."""
    from pydantic import ValidationError

    from modeling.errors import ModelingError
    from serving.errors import ServingError
    from streaming.errors import StreamingError
    from understudy.errors import FrontDoorError
    from versioning.errors import VersioningError

    if isinstance(error, (FrontDoorError, ModelingError, ServingError, StreamingError, VersioningError)):
        return str(error)
    if isinstance(error, ValidationError):
        return _bad_settings(error.errors())
    if isinstance(error, PermissionError):
        return f"No right to write {error.filename}: change its owner, or set DATA_DIR to a folder of yours."
    return None


def _bad_settings(problems: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        f"{'.'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}, got {problem['input']!r}."
        for problem in problems
    ]
    return "\n".join([*lines, "Mend it in the environment or in .env; .env.example explains every setting."])
