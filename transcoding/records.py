"""Frozen dataclasses to JSON-ready values and back, following their type hints.

Plans and facts are stored with the job and read back by other processes: the same plan must mean the same files.
Understands nested dataclasses, tuples, `X | None`, `Fraction` (as "n/d"), `StrEnum`, str, int, float and bool.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from fractions import Fraction
from functools import cache
from typing import Protocol, TypeVar


class _Record(Protocol):
    __dataclass_fields__: typing.ClassVar[dict[str, dataclasses.Field[object]]]


Record = TypeVar("Record", bound=_Record)

_hints = cache(typing.get_type_hints)


def to_json(value: object) -> object:
    """Turn a record into dicts, lists, strings and numbers."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, StrEnum):
        return value.value
    return value


def from_json(record: type[Record], data: object) -> Record:
    """Build the record again from what `to_json` gave. Raises ValueError where a field is missing or wrong.

    A field with a default may be missing: it is younger than what was stored.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"{record.__name__} needs an object, got {type(data).__name__}")  # noqa: TRY004 - data, no bug
    hints = _hints(record)
    try:
        return record(
            **{
                name: _read(hints[name], data[name])
                for name, field in record.__dataclass_fields__.items()
                if name in data or field.default is dataclasses.MISSING
            }
        )
    except KeyError as missing:
        raise ValueError(f"{record.__name__} lacks {missing}") from None


def _read(hint: object, data: object) -> object:
    origin = typing.get_origin(hint)
    if origin is types.UnionType:
        inner = next(option for option in typing.get_args(hint) if option is not types.NoneType)
        return None if data is None else _read(inner, data)
    if origin is tuple:
        if not isinstance(data, list | tuple):
            raise ValueError(f"expected a list, got {data!r}")
        return tuple(_read(typing.get_args(hint)[0], item) for item in data)
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast("type[_Record]", hint), data)
    return _read_leaf(hint, data)


def _read_leaf(hint: object, data: object) -> object:
    if isinstance(hint, type) and issubclass(hint, Fraction | StrEnum):
        return _read_text(hint, data)
    if hint is float and isinstance(data, int):
        return float(data)
    if isinstance(hint, type) and not isinstance(data, hint):
        raise ValueError(f"expected {hint.__name__}, got {data!r}")  # noqa: TRY004 - data, no bug
    return data


def _read_text(kind: type[Fraction | StrEnum], data: object) -> Fraction | StrEnum:
    try:
        return kind(str(data))
    except ZeroDivisionError:
        raise ValueError(f"{data!r} is no number") from None
