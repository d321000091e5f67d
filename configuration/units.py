"""Quantities with units: durations such as `5m` or `1h30m`, sizes such as `10MiB` or `10MB`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

_TERM = r"[0-9]+(?:\.[0-9]+)? ?[a-z]+"
_TERMS = re.compile(rf"{_TERM}(?: ?{_TERM})*")
_PARTS = re.compile(r"([0-9.]+) ?([a-z]+)")

_SECONDS = MappingProxyType(
    {"ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60), "h": Fraction(3600), "d": Fraction(86_400)}
)
_BYTES = MappingProxyType(
    {"b": Fraction(1)}
    | {f"{prefix}b": Fraction(1000**power) for power, prefix in enumerate("kmgt", 1)}
    | {f"{prefix}ib": Fraction(1024**power) for power, prefix in enumerate("kmgt", 1)}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """The unit of a setting, and the units in which its value may be written.

    `written` maps each unit in lower case to seconds or bytes. `size` is the setting's unit in seconds or bytes.
    """

    size: Fraction
    written: Mapping[str, Fraction]
    example: str

    def parse(self, text: str) -> Fraction:
        """Parse `1h30m` or `10 MiB` into a number of this unit. Raises ValueError."""
        lowered = text.strip().lower()
        if not _TERMS.fullmatch(lowered):
            raise ValueError(text)
        terms = _PARTS.findall(lowered)
        if unknown := {spelling for _, spelling in terms} - self.written.keys():
            raise ValueError(", ".join(sorted(unknown)))
        return sum((Fraction(number) * self.written[spelling] for number, spelling in terms), Fraction(0)) / self.size


_DURATION = "a duration such as 90s or 5m"
_SIZE = "a size such as 10MiB or 10MB"
_UNITS = {
    "seconds": Unit(size=_SECONDS["s"], written=_SECONDS, example=_DURATION),
    "days": Unit(size=_SECONDS["d"], written=_SECONDS, example=_DURATION),
    "bytes": Unit(size=_BYTES["b"], written=_BYTES, example=_SIZE),
    "mb": Unit(size=_BYTES["mib"], written=_BYTES, example=_SIZE),  # MiB: GPU drivers write MB for it
}


def unit_of(setting_name: str) -> Unit | None:
    """Return the unit that a setting's name ends with; None for a setting without one."""
    return _UNITS.get(setting_name.rpartition("_")[2])
