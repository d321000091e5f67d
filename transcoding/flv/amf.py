"""AMF0: the values of commands and metadata (Action Message Format, Adobe 2007).

What others send may cost no more than its size: depth and number of values are limited.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence

Value = None | bool | float | str | Mapping[str, "Value"] | Sequence["Value"]

MAX_DEPTH = 8
MAX_VALUES = 4096

_NUMBER, _BOOLEAN, _STRING, _OBJECT, _NULL = 0, 1, 2, 3, 5
_ECMA_ARRAY, _OBJECT_END, _STRICT_ARRAY, _LONG_STRING, _TYPED = 8, 9, 10, 12, 16
_SHORT = 0xFFFF


class AmfInvalid(ValueError):
    """Bytes are no values of AMF0, or too many."""


def amf_values(data: bytes) -> list[Value]:
    """Read all values, one behind the other. Raises AmfInvalid."""
    reader = _Reader(data)
    values = []
    while not reader.at_end:
        values.append(reader.value(0))
    return values


def amf_bytes(*values: Value) -> bytes:
    """Write values one behind the other."""
    return b"".join(_written(value) for value in values)


def _written(value: Value) -> bytes:
    if value is None:
        return bytes((_NULL,))
    if isinstance(value, bool):
        return bytes((_BOOLEAN, value))
    if isinstance(value, int | float):
        return bytes((_NUMBER,)) + struct.pack(">d", value)
    if isinstance(value, str):
        data = value.encode()
        return bytes((_STRING,)) + _named(data) if len(data) <= _SHORT else _long(data)
    if isinstance(value, Mapping):
        parts = (_named(key.encode()) + _written(each) for key, each in value.items())
        return bytes((_OBJECT,)) + b"".join(parts) + bytes((0, 0, _OBJECT_END))
    return bytes((_STRICT_ARRAY,)) + struct.pack(">I", len(value)) + b"".join(map(_written, value))


def _named(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def _long(data: bytes) -> bytes:
    return bytes((_LONG_STRING,)) + struct.pack(">I", len(data)) + data


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self._values = 0

    @property
    def at_end(self) -> bool:
        return self._position >= len(self._data)

    def value(self, depth: int) -> Value:
        self._values += 1
        if self._values > MAX_VALUES or depth > MAX_DEPTH:
            raise AmfInvalid("there are too many values")
        kind = self._take(1)[0]
        if kind in (_OBJECT, _TYPED, _ECMA_ARRAY, _STRICT_ARRAY):
            return self._composed(kind, depth)
        return self._single(kind)

    def _single(self, kind: int) -> Value:
        match kind:
            case 0:  # number
                return self._number()
            case 1:  # boolean
                return bool(self._take(1)[0])
            case 2:  # string
                return self._string(2)
            case 5 | 6 | 13:  # null, undefined, unsupported
                return None
            case 11:  # date: milliseconds since 1970, and a time zone that is reserved
                milliseconds = self._number()
                self._take(2)
                return milliseconds
            case 12 | 15:  # long string, XML
                return self._string(4)
            case _:
                raise AmfInvalid(f"{kind} is no type that is known")

    def _composed(self, kind: int, depth: int) -> Value:
        if kind == _STRICT_ARRAY:
            return [self.value(depth + 1) for _ in range(min(self._size(4), MAX_VALUES + 1))]
        if kind == _TYPED:
            self._string(2)
        elif kind == _ECMA_ARRAY:
            self._take(4)  # a number of values that writers leave at 0
        found: dict[str, Value] = {}
        while not self.at_end:
            key = self._string(2)
            if not key and self._data[self._position : self._position + 1] == bytes((_OBJECT_END,)):
                self._take(1)
                break
            found[key] = self.value(depth + 1)
        return found

    def _number(self) -> float:
        (number,) = struct.unpack(">d", self._take(8))
        return float(number) if math.isfinite(number) else 0.0

    def _string(self, width: int) -> str:
        return self._take(self._size(width)).decode(errors="replace")

    def _size(self, width: int) -> int:
        return int.from_bytes(self._take(width), "big")

    def _take(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._data):
            raise AmfInvalid("a value ends too early")
        part = self._data[self._position : end]
        self._position = end
        return part
