"""What passes between a process engine and its model process: one call, one reply, each a length and msgpack.

A connection carries one call at a time. A call without rows asks "are you there" and reaches no model.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from serving.rows import Answers, Rows, Value

LENGTH_BYTES = 4
MAX_FRAME_BYTES = 1 << 30


class Call(msgspec.Struct, frozen=True, array_like=True):
    """Rows to answer.

    Attributes:
        rows: How many.
        numbers: `Rows.numbers`, float64 in this machine's byte order, row after row.
        strings: `Rows.strings`.
    """

    rows: int
    numbers: bytes
    strings: Sequence[tuple[str | None, ...]]


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """The answers, or why there are none; `error` is empty when all went well."""

    predictions: list[Value] = []
    probabilities: list[list[float]] | None = None
    error: str = ""


PING = Call(0, b"", ())
_encoder = msgspec.msgpack.Encoder()
_call_decoder = msgspec.msgpack.Decoder(Call)
_reply_decoder = msgspec.msgpack.Decoder(Reply)


def frame(message: Call | Reply) -> bytes:
    """The bytes to send: length, then the message."""
    body = _encoder.encode(message)
    return len(body).to_bytes(LENGTH_BYTES) + body


def call_of(rows: Rows) -> Call:
    return Call(len(rows), np.ascontiguousarray(rows.numbers, dtype=np.float64).tobytes(), rows.strings)


def rows_of(call: Call) -> Rows:
    """Raises ValueError when the bytes do not make `call.rows` rows."""
    columns = len(call.numbers) // 8 // call.rows
    numbers = np.frombuffer(call.numbers, dtype=np.float64).reshape(call.rows, columns)
    if len(call.strings) != call.rows:
        raise ValueError(f"{call.rows} rows with {len(call.strings)} tuples of strings")
    return Rows(numbers, call.strings)


def reply_of(answers: Answers) -> Reply:
    return Reply(answers.predictions, answers.probabilities)


def decode_call(body: bytes) -> Call:
    """Raises msgspec.DecodeError."""
    return _call_decoder.decode(body)


def decode_reply(body: bytes) -> Reply:
    """Raises msgspec.DecodeError."""
    return _reply_decoder.decode(body)


def split_frame(received: bytearray) -> bytes | None:
    """Takes the first whole message off `received`, or None while it is not all there.

    Raises:
        ValueError: The length is beyond MAX_FRAME_BYTES, so these are no frames of ours.
    """
    if len(received) < LENGTH_BYTES:
        return None
    end = LENGTH_BYTES + int.from_bytes(received[:LENGTH_BYTES])
    if end > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {end} bytes")
    if len(received) < end:
        return None
    body = bytes(received[LENGTH_BYTES:end])
    del received[:end]
    return body
