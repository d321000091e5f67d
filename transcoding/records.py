"""Frozen dataclasses to JSON-ready values and back, following their type hints.

Plans and facts are stored with the job and read back by other processes: the same plan must mean the same files.
Understands nested dataclasses, tuples, `X | None`, `Fraction` (as "n/d"), `StrEnum`, str, int, float and bool.

A stored record carries its `version`. One reader understands the current version and every earlier one, by the
upgrades of that record; `transcoding/upgrades.py` has them.
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from fractions import Fraction
from functools import cache
from typing import Any, Protocol, TypeVar

from transcoding.errors import UnknownVersion

VERSION = "version"
"""Name of the field of a stored record that holds its version. Version 1 was stored without it."""

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
"""Rewrites a stored record, one version to the next."""


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


def to_versioned(value: _Record, upgrades: Sequence[Upgrade]) -> dict[str, object]:
    """Turn a record into JSON-ready values with the version that `upgrades` lead to."""
    fields = {name: to_json(getattr(value, name)) for name in value.__dataclass_fields__}
    return {VERSION: current_version(upgrades), **fields}


def from_versioned(record: type[Record], data: object, upgrades: Sequence[Upgrade]) -> Record:
    """Read a stored record of the current version or an earlier one; `upgrades` ascend from version 1.

    Raises UnknownVersion for any other version, ValueError where a field is missing or wrong.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"{record.__name__} needs an object, got {type(data).__name__}")  # noqa: TRY004 - data, no bug
    version = data.get(VERSION, 1)
    if version not in range(1, current_version(upgrades) + 1):
        newest = current_version(upgrades)
        raise UnknownVersion(f"{record.__name__} is stored in version {version!r}; versions 1 to {newest} are read")
    stored = dict(data)
    try:
        for upgrade in upgrades[version - 1 :]:
            stored = upgrade(stored)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{record.__name__} of version {version} cannot be upgraded: {error!r}") from error
    return from_json(record, stored)


def current_version(upgrades: Sequence[Upgrade]) -> int:
    """Return the version that a record with these upgrades is stored in."""
    return len(upgrades) + 1


def from_json(record: type[Record], data: object) -> Record:
    """Build the record again from what `to_json` gave. Raises ValueError where a field is missing or wrong."""
    if not isinstance(data, Mapping):
        raise ValueError(f"{record.__name__} needs an object, got {type(data).__name__}")  # noqa: TRY004 - data, no bug
    hints = _hints(record)
    try:
        return record(**{name: _read(hints[name], data[name]) for name in record.__dataclass_fields__})
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
