"""JSON text to plain values, with an answer for every way it can be wrong."""

import json
import math
import re
from typing import Any, NoReturn

import msgspec

from serving.errors import MalformedBodyError, TooLargeError

MAX_DEPTH = 16
_LONGEST_NUMBER = 308
_STRINGS = re.compile(rb'"[^"]*"')
_INNERMOST = re.compile(rb"\[\]|\{\}")
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))
_decoder = msgspec.json.Decoder()


class NonFinite:
    """A NaN, Infinity or overflowing literal: not JSON, but understood well enough to name the field it is in."""

    def __init__(self, text: str) -> None:
        self.text = text if len(text) <= 20 else f"{text[:20]}…"

    def __repr__(self) -> str:
        return self.text


def parse(body: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """The body's value. Of duplicate keys the last wins. NaN, Infinity and overflows become `NonFinite`.

    Raises:
        MalformedBodyError: Not JSON in UTF-8; says where.
        TooLargeError: Nested deeper than `max_depth`.
    """
    require_depth(body, max_depth)
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _parse_again(body)


def require_depth(body: bytes, max_depth: int) -> None:
    """Refuses nesting bombs without descending into them.

    Raises:
        TooLargeError: Nested deeper than `max_depth`.
    """
    if body.count(b"[") + body.count(b"{") <= max_depth:
        return
    text = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _NOT_STRUCTURE)
    shape = _STRINGS.sub(b"", text.replace(b'""', b""))
    taken = 0
    for _ in range(max_depth):
        # Takes the innermost level of every branch away. What never pairs up is malformed: the parser says where.
        shape, taken = _INNERMOST.subn(b"", shape)
        if not taken:
            break
    if (shape and taken) or shape.count(b"[") + shape.count(b"{") > max_depth:
        raise TooLargeError(f"the body is nested deeper than {max_depth} levels: send flat rows")


def _parse_again(body: bytes) -> Any:
    """The strict decoder refused: tells NaN literals, which have a hint of their own, from malformed text."""
    try:
        text = body.decode()
        value = json.loads(text, parse_constant=NonFinite, parse_float=_finite_float, parse_int=_bounded_int)
        json.dumps(value, ensure_ascii=False, default=repr).encode()
    except UnicodeDecodeError as error:
        raise MalformedBodyError(f"the body is not UTF-8: bad byte at position {error.start}") from error
    except UnicodeEncodeError as error:
        raise MalformedBodyError("the body has half a Unicode surrogate pair (\\ud800 to \\udfff)") from error
    except json.JSONDecodeError as error:
        _refuse(text, error)
    return value


def _refuse(text: str, error: json.JSONDecodeError) -> NoReturn:
    if not text.strip():
        raise MalformedBodyError("the body is empty: send a JSON object of columns") from error
    raise MalformedBodyError(
        f"the body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno} (character {error.pos})"
    ) from error


def _finite_float(text: str) -> float | NonFinite:
    value = float(text)
    return value if math.isfinite(value) else NonFinite(text)


def _bounded_int(text: str) -> int | NonFinite:
    return int(text) if len(text) <= _LONGEST_NUMBER else NonFinite(text)
