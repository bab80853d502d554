"""Tensors of the Open Inference Protocol V2, as JSON and as the binary-tensor extension writes them.

https://github.com/kserve/open-inference-protocol, and the binary tensor data extension of Triton.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.errors import MalformedBodyError
from serving.protocol.json_body import NonFinite

NUMBER_TYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
DATATYPES = frozenset(NUMBER_TYPES) | {"BYTES"}
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named tensor with its values in row-major order. NaN stands for null; infinities are refused."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Sequence[Any]

    @property
    def row_count(self) -> int:
        """Length of the first dimension."""
        return self.shape[0]

    @property
    def row_width(self) -> int:
        """Values in one row."""
        return math.prod(self.shape[1:])


class BinaryPart:
    """What follows the JSON header: the tensors' bytes, one after the other."""

    def __init__(self, body: bytes) -> None:
        self._body = memoryview(body)

    def take(self, size: Any, name: str) -> memoryview:
        """The next `size` bytes.

        Raises:
            MalformedBodyError: There are not that many.
        """
        if type(size) is not int or not 0 <= size <= len(self._body):
            raise MalformedBodyError(
                f"input {name!r}: binary_data_size is {_brief(size)}, but {len(self._body)} bytes are left after the header"
            )
        taken, self._body = self._body[:size], self._body[size:]
        return taken

    def require_empty(self) -> None:
        """Refuses bytes that belong to no tensor.

        Raises:
            MalformedBodyError: There are some.
        """
        if len(self._body):
            raise MalformedBodyError(f"{len(self._body)} bytes after the last tensor: check binary_data_size")


def read_tensor(described: Any, binary: BinaryPart) -> Tensor:
    """One entry of `inputs`.

    Raises:
        MalformedBodyError: Says which input and what is wrong with it.
    """
    if not isinstance(described, dict) or not isinstance(described.get("name"), str):
        raise MalformedBodyError('each input is an object with "name", "shape", "datatype" and "data"')
    name, datatype = described["name"], described.get("datatype")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise MalformedBodyError(
            f"input {name!r}: datatype {_brief(datatype)} is not one of {', '.join(sorted(DATATYPES))}"
        )
    shape = _shape(described.get("shape"), name)
    parameters = described.get("parameters")
    if isinstance(parameters, dict) and "shared_memory_region" in parameters:
        raise MalformedBodyError(f"input {name!r}: shared memory is not supported, send the data in the body")
    if isinstance(parameters, dict) and "binary_data_size" in parameters:
        values = _binary_values(binary.take(parameters["binary_data_size"], name), datatype, math.prod(shape), name)
    else:
        values = _json_values(described.get("data"), math.prod(shape), len(shape), name)
    return Tensor(name, datatype, shape, values)


def binary_of(datatype: str, values: Sequence[Any]) -> bytes:
    """The values as the binary-tensor extension writes them."""
    if datatype != "BYTES":
        return np.asarray(values, dtype=NUMBER_TYPES[datatype]).tobytes()
    encoded = [str(value).encode() for value in values]
    return b"".join(part for text in encoded for part in (_LENGTH.pack(len(text)), text))


def _shape(value: Any, name: str) -> tuple[int, ...]:
    if isinstance(value, list) and 0 < len(value) <= 8 and all(type(n) is int and 0 <= n < 2**31 for n in value):
        return tuple(value)
    raise MalformedBodyError(f"input {name!r}: shape must be a list of sizes such as [rows] or [rows, columns]")


def _json_values(data: Any, count: int, depth: int, name: str) -> list[Any]:
    if not isinstance(data, list):
        raise MalformedBodyError(f'input {name!r}: there is neither "data" nor a binary_data_size parameter')
    values = data
    for _ in range(depth - 1):
        if not (values and all(isinstance(value, list) for value in values)):
            break
        values = [value for row in values for value in row]
    if len(values) != count:
        raise MalformedBodyError(f"input {name!r}: shape asks for {count} values, data has {len(values)}")
    return [math.nan if isinstance(value, NonFinite) and value.text == "NaN" else value for value in values]


def _binary_values(raw: memoryview, datatype: str, count: int, name: str) -> list[Any]:
    if datatype == "BYTES":
        return _strings(raw, count, name)
    dtype = NUMBER_TYPES[datatype]
    if len(raw) != count * dtype.itemsize:
        raise MalformedBodyError(
            f"input {name!r}: {count} values of {datatype} are {count * dtype.itemsize} bytes, got {len(raw)}"
        )
    values = np.frombuffer(raw, dtype=dtype)
    if dtype.kind == "f" and np.isinf(values).any():
        raise MalformedBodyError(f"input {name!r}: it has infinite values; send NaN for missing ones")
    plain: list[Any] = values.tolist()
    return [bool(value) for value in plain] if dtype.kind == "b" else plain


def _strings(raw: memoryview, count: int, name: str) -> list[str]:
    strings = []
    position = 0
    try:
        while position < len(raw):
            (length,) = _LENGTH.unpack_from(raw, position)
            position += _LENGTH.size + length
            if position > len(raw):
                raise MalformedBodyError(f"input {name!r}: a string is longer than the bytes that are left")
            strings.append(str(raw[position - length : position], "utf-8"))
    except struct.error as error:
        raise MalformedBodyError(f"input {name!r}: the bytes end inside the length of a string") from error
    except UnicodeDecodeError as error:
        raise MalformedBodyError(f"input {name!r}: string {len(strings)} is not UTF-8") from error
    if len(strings) != count:
        raise MalformedBodyError(f"input {name!r}: shape asks for {count} strings, the bytes hold {len(strings)}")
    return strings


def _brief(value: Any) -> str:
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**20 else "a huge number"
    return text if len(text) <= 40 else f"{text[:40]}…"
