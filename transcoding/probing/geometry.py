"""The shape of a video: its pixels, its orientation, and its size on the screen."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from transcoding.probing.streams import Crop, Resolution, VideoStream

_NUMBER_PAIR = re.compile(r"(\d{1,9}):(\d{1,9})", re.ASCII)
_ROW = re.compile(r"[0-9a-f]{8}:\s*(-?\d{1,11})\s+(-?\d{1,11})\s+(-?\d{1,11})\s*", re.ASCII)
_ODDEST_PIXEL = 10
"""Pixels more than so many times as wide as high, or the reverse, are an error of whoever wrote the file."""
_NARROW_PIXEL = Fraction(3, 4)
"""Pixels narrower than this are made square by more lines: with fewer columns, too much would be lost."""
_FULL_TURN = 360
_HALF_TURN = 180
_QUARTER = 90
_NEARLY = 1
"""Degrees: players turn by quarters only, and ffprobe's angles are not exact."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """The way a player turns a frame: mirrored from left to right, then clockwise by quarters, in degrees."""

    rotation: int = 0
    mirrored: bool = False


def pixel_aspect(entry: Mapping[str, Any]) -> Fraction:
    """Return the width of a pixel for a height of 1, from ffprobe's entry of a stream or a frame."""
    found = _NUMBER_PAIR.fullmatch(str(entry.get("sample_aspect_ratio", "")))
    width, height = map(int, found.groups()) if found else (1, 1)
    if not width or not height or not 1 <= max(width, height) / min(width, height) <= _ODDEST_PIXEL:
        return Fraction(1)
    return Fraction(width, height)


def displayed(coded: Resolution, aspect: Fraction, *, turned: bool) -> Resolution:
    """Return the size of a frame with square pixels, which has no line fewer than the frame itself."""
    width, height = Fraction(coded.width), Fraction(coded.height)
    if aspect < _NARROW_PIXEL:
        height /= aspect
    else:
        width *= aspect
    sides = max(1, round(width)), max(1, round(height))
    width_shown, height_shown = reversed(sides) if turned else sides
    return Resolution(width=width_shown, height=height_shown)


def orientation(side_data: Iterable[Mapping[str, Any]]) -> Orientation:
    """Read the display matrix of a stream from ffprobe's side data.

    One that turns by anything but quarters is ignored, as browsers do.
    """
    entry = next((entry for entry in side_data if "rotation" in entry), None)
    if entry is None:
        return Orientation()
    rows = [tuple(map(int, found.groups())) for found in map(_ROW.fullmatch, _lines(entry)) if found]
    if len(rows) < 2:  # noqa: PLR2004 - the rows that turn
        return Orientation(_quarters(-float(entry["rotation"])))
    (a, b, _), (c, d, _) = rows[:2]
    return Orientation(_quarters(math.degrees(math.atan2(-c, d))), mirrored=a * d - b * c < 0)


def turned(video: VideoStream, found: Orientation) -> VideoStream:
    """Return an upright track with another orientation."""
    sideways = found.rotation % _HALF_TURN != 0
    size = Resolution(width=video.display.height, height=video.display.width) if sideways else video.display
    return replace(video, display=size, rotation=found.rotation, mirrored=found.mirrored)


def cropped(video: VideoStream, crop: Crop, shape: Fraction | None = None) -> VideoStream:
    """Return the track without what its container has players leave out; `shape` is that of the rest on the screen."""
    if not crop or video.coded is None:
        return video
    width, height = video.coded.width - crop.left - crop.right, video.coded.height - crop.top - crop.bottom
    if min(width, height) <= 0:
        return video
    coded = Resolution(width=width, height=height)
    aspect = video.sample_aspect if shape is None else shape * height / width
    display = displayed(coded, aspect, turned=video.rotation % _HALF_TURN != 0)
    return replace(video, coded=coded, crop=crop, sample_aspect=aspect, display=display)


def _lines(entry: Mapping[str, Any]) -> list[str]:
    return [line.strip() for line in str(entry.get("displaymatrix", "")).splitlines()]


def _quarters(degrees: float) -> int:
    nearest = round(degrees / _QUARTER) * _QUARTER
    return nearest % _FULL_TURN if abs(degrees - nearest) <= _NEARLY else 0
