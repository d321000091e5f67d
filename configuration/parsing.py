"""Parsing of a variable's text into the value of a setting."""

from __future__ import annotations

import math
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from configuration.declaration import Setting
from configuration.units import unit_of

BOOLEANS = MappingProxyType(
    {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
)


def parse_setting(setting: Setting, variable: str, text: str) -> Any:  # noqa: ANN401 - the declaration says the type
    """Parse the text of a variable for this setting. Raises ValueError; its message names the variable."""
    if setting.kind is bool:
        return parse_boolean(variable, text)
    if setting.kind in (int, float):
        return _parse_number(setting, variable, text)
    if setting.kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if setting.choices and text not in setting.choices:
        raise ValueError(f"{variable} must be one of {', '.join(setting.choices)}, got {text!r}")
    return text


def parse_boolean(variable: str, text: str) -> bool:
    """Parse true or false, or one of their synonyms. Raises ValueError."""
    if text.lower() not in BOOLEANS:
        raise ValueError(f"{variable} must be true or false, got {text!r}")
    return BOOLEANS[text.lower()]


def _parse_number(setting: Setting, variable: str, text: str) -> float:
    value = _number(setting, variable, text)
    if setting.minimum is not None and not value >= setting.minimum:  # so that nan is refused too
        raise ValueError(f"{variable} must be at least {setting.minimum}, got {text}")
    if setting.maximum is not None and not value <= setting.maximum:
        raise ValueError(f"{variable} must be at most {setting.maximum}, got {text}")
    return value


def _number(setting: Setting, variable: str, text: str) -> float:
    """Parse a plain number in the setting's unit, or one with a unit. Fractions of whole numbers are rounded up."""
    with suppress(ValueError):
        plain: float = setting.kind(text)
        return plain
    unit = unit_of(setting.name)
    if unit:
        with suppress(ValueError):
            quantity = unit.parse(text)
            return math.ceil(quantity) if setting.kind is int else float(quantity)
    noun = ("a whole number" if setting.kind is int else "a number") + (f" or {unit.example}" if unit else "")
    raise ValueError(f"{variable} must be {noun}, got {text!r}")
