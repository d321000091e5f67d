"""The choice of the frames that stand for a video: neither black, nor blurred, nor a slate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_BLACK = 16.0
_SHARE_OF_BEST = 0.8
"""Measures are compared with the one that four fifths of the frames do not reach: a single odd frame is no standard."""
_STILL = 0.6
"""Mean difference from the frame before or behind, in levels, up to which a frame counts as still."""
_LEAST = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameMeasure:
    """Measures of one frame. Levels are those of 8-bit luma in the limited range, 16 to 235."""

    frame: int
    """Its number, from 0."""
    brightness: float
    """Mean level."""
    low: float
    """Level that a tenth of the pixels do not reach."""
    high: float
    """Level that nine tenths of the pixels do not exceed."""
    entropy: float
    """Of the histogram of levels, 0 to 1: text on flat ground and color bars have few levels."""
    detail: float
    """Mean of the Laplacian: what a blurred frame lacks."""
    change: float
    """Mean difference from the measured frame before, in levels."""


def scores(measures: Sequence[FrameMeasure]) -> list[float]:
    """Rate how well each frame stands for the video, in their order; higher is better, and all are above 0.

    Each measure counts relative to the video's own: in a dark film a dark frame is as good as any.
    """
    light = _relative([measure.brightness - _BLACK for measure in measures])
    contrast = _relative([measure.high - measure.low for measure in measures])
    levels = _relative([measure.entropy for measure in measures])
    detail = _relative([measure.detail for measure in measures])
    return [
        light[n] ** 0.5 * contrast[n] * levels[n] ** 2 * detail[n] * (0.5 if _is_still(measures, n) else 1)
        for n in range(len(measures))
    ]


def _relative(values: Sequence[float]) -> list[float]:
    """Divide by the value that four fifths do not exceed; from `_LEAST` to 1."""
    standard = sorted(values)[math.ceil(_SHARE_OF_BEST * (len(values) - 1))]
    if standard <= 0:
        standard = max(*values, _LEAST)
    return [min(1.0, max(_LEAST, value / standard)) for value in values]


def _is_still(measures: Sequence[FrameMeasure], number: int) -> bool:
    """Tell whether a frame hardly differs from one of its neighbours: slates stay for seconds."""
    own = measures[number].change if number else _STILL + 1
    following = measures[number + 1].change if number + 1 < len(measures) else _STILL + 1
    return min(own, following) <= _STILL


def choose_poster(measures: Sequence[FrameMeasure]) -> FrameMeasure:
    """Return the frame that stands for the video best; of equal ones the first."""
    rated = scores(measures)
    return measures[max(range(len(measures)), key=rated.__getitem__)]


def choose_best_of_parts(measures: Sequence[FrameMeasure], count: int, *, total_frames: int) -> list[FrameMeasure]:
    """Return the best frame of each of `count` equal parts of the video, in order; parts without one have none."""
    rated = scores(measures)
    best: dict[int, int] = {}
    for number, measure in enumerate(measures):
        part = min(measure.frame * count // total_frames, count - 1)
        if part not in best or rated[number] > rated[best[part]]:
            best[part] = number
    return [measures[number] for _, number in sorted(best.items())]
