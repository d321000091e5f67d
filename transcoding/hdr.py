"""High dynamic range: PQ, and what masters say about their light."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

_NUMBER = re.compile(r"\d{1,12}(?:/\d{1,12})?", re.ASCII)
CHROMATICITY_UNIT = 50_000
LUMINANCE_UNIT = 10_000
"""Steps of a chromaticity and of a candela per square metre in metadata (SMPTE ST 2086)."""
_COORDINATES = ("green", "blue", "red", "white_point")
_PQ_PEAK = 10_000
"""The brightest light that PQ can code, in cd/m2 (SMPTE ST 2084)."""
_PROFILES_WITHOUT_BASE = frozenset({5, 10, 20})
"""Profiles of Dolby Vision that have a base layer for other decoders only where they say which one."""
USUAL_PEAK = 1000
"""Peak in cd/m2 of masters that do not say theirs, and of the display for which BT.2100 defines HLG."""
SDR_WHITE = 203
"""Light in cd/m2 of diffuse white in HDR masters (ITU-R BT.2408), which is the white of standard range."""
_SDR_PEAK = 100
"""Light in cd/m2 of white in masters of standard range (ITU-R BT.2035): no master of high range has less."""

_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class MasteringDisplay:
    """The display on which a video was mastered (SMPTE ST 2086)."""

    chromaticities: tuple[int, ...]
    """x and y of green, blue, red and white, in steps of 1/50000."""
    min_luminance: int
    max_luminance: int
    """In steps of 1/10000 cd/m2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentLight:
    """The light of the brightest pixel, and of the brightest frame on average, in cd/m2 (CTA-861.3)."""

    max_content: int
    max_average: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HdrMetadata:
    """Static metadata of an HDR video; each part may be missing."""

    display: MasteringDisplay | None = None
    light: ContentLight | None = None

    @classmethod
    def of_side_data(cls, entries: Iterable[Mapping[str, Any]]) -> Self:
        """Read the entries that ffprobe lists for a stream or a frame; what is absurd is left out."""
        display, light = None, None
        for entry in entries:
            display = display or _display(entry)
            light = light or _light(entry)
        return cls(display=display, light=light)

    def or_else(self, other: Self) -> Self:
        """Return the metadata with what is missing taken from elsewhere."""
        return type(self)(display=self.display or other.display, light=self.light or other.light)

    @property
    def peak(self) -> int:
        """The brightest light in cd/m2 that tone mapping keeps apart from white: that of the content, if known."""
        if self.light and self.light.max_content:
            peak = self.light.max_content
        elif self.display:
            peak = round(self.display.max_luminance / LUMINANCE_UNIT)
        else:
            peak = USUAL_PEAK
        return min(max(peak, _SDR_PEAK), _PQ_PEAK)


@dataclass(frozen=True, slots=True, kw_only=True)
class DolbyVision:
    """The profile of a Dolby Vision stream, and the format that other decoders take its base layer for."""

    profile: int
    compatibility: int
    """1 and 6: HDR10; 2: SDR; 4: HLG; 0: none."""

    @classmethod
    def of_side_data(cls, entries: Iterable[Mapping[str, Any]]) -> Self | None:
        """Read ffprobe's entry about the configuration record."""
        for entry in entries:
            if "dv_profile" in entry:
                return cls(
                    profile=int(entry["dv_profile"]),
                    compatibility=int(entry.get("dv_bl_signal_compatibility_id", 0)),
                )
        return None

    @property
    def has_base(self) -> bool:
        """Tell whether a decoder that knows nothing of Dolby Vision shows the right colors."""
        return self.compatibility != 0 or self.profile not in _PROFILES_WITHOUT_BASE


def pq_value(luminance: float) -> float:
    """Return the PQ value, 0 to 1, of a luminance in cd/m2."""
    power = (luminance / _PQ_PEAK) ** _M1
    return float(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)


def pq_luminance(value: float) -> float:
    """Return the luminance in cd/m2 of a PQ value, 0 to 1."""
    power = value ** (1 / _M2)
    return float(_PQ_PEAK * (max(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1))


def _display(entry: Mapping[str, Any]) -> MasteringDisplay | None:
    """Read the display of an entry. It has none if the numbers are not those of a display."""
    names = [f"{name}_{axis}" for name in _COORDINATES for axis in "xy"]
    chromaticities = _steps([entry.get(name) for name in names], CHROMATICITY_UNIT)
    luminances = _steps([entry.get("min_luminance"), entry.get("max_luminance")], LUMINANCE_UNIT)
    if not chromaticities or not luminances:
        return None
    darkest, brightest = luminances
    if max(chromaticities) > CHROMATICITY_UNIT or not darkest < brightest <= _PQ_PEAK * LUMINANCE_UNIT:
        return None
    return MasteringDisplay(chromaticities=tuple(chromaticities), min_luminance=darkest, max_luminance=brightest)


def _light(entry: Mapping[str, Any]) -> ContentLight | None:
    values = _steps([entry.get("max_content"), entry.get("max_average")], 1)
    if not values or max(values) > _PQ_PEAK or not values[0]:
        return None
    return ContentLight(max_content=values[0], max_average=min(values))


def _steps(numbers: Sequence[object], unit: int) -> list[int]:
    """Return all of these numbers in whole steps of a unit; nothing where one is missing or none."""
    if not all(_NUMBER.fullmatch(str(number)) for number in numbers):
        return []
    try:
        return [round(Fraction(str(number)) * unit) for number in numbers]
    except ZeroDivisionError:
        return []
