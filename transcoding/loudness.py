"""The loudness that audio is brought to on request (EBU R 128), and the way there.

One gain for the whole track leaves it as it was mixed. Where the gain would raise peaks beyond what is allowed, a
limiter holds them, which costs some loudness: the gain is raised and measured again until the loudness is right.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from transcoding.probing.streams import Loudness

TARGET_LUFS = -16.0
MAX_TRUE_PEAK = -1.5
"""dBTP, of what players decode."""
_CODING_MARGIN = 1.0
"""dB by which a lossy codec may raise a peak."""
CEILING = MAX_TRUE_PEAK - _CODING_MARGIN
"""dBTP, of what is encoded."""
_SILENCE_LUFS = -60.0
"""Loudness of noise in silence, which nobody turns up."""
_CLOSE_ENOUGH = 0.15
"""LU from the target at which no further gain is tried."""
_MAX_TRIES = 5
_LEAST_SLOPE = 0.2
"""LU for each dB of gain, assumed at least: what is limited gets louder more slowly."""
_MAX_MORE_GAIN = 15.0
"""dB beyond the gain without a limiter: the rest of a clip of few loud moments stays quieter than the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A change of level: a gain in dB, and a limiter of true peaks behind it."""

    gain: float = 0.0
    limited: bool = False


UNCHANGED = Correction()


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """A gain with the limiter, and the loudness that it led to, in LUFS."""

    gain: float
    integrated: float


def needed_correction(measured: Loudness | None) -> Correction:
    """Return the correction of audio that is this loud, a first guess where the limiter is needed.

    Silence, and what is too short to be measured (None), stays as it is.
    """
    if measured is None or measured.integrated < _SILENCE_LUFS:
        return UNCHANGED
    gain = round(TARGET_LUFS - measured.integrated, 2)
    return Correction(gain=gain, limited=measured.true_peak + gain > CEILING)


def next_gain(tries: Sequence[Try]) -> float | None:
    """Return the gain to try after these. None: one of them is close enough, or no more are made."""
    last = tries[-1]
    error = TARGET_LUFS - last.integrated
    highest = tries[0].gain + _MAX_MORE_GAIN
    if abs(error) <= _CLOSE_ENOUGH or len(tries) == _MAX_TRIES or (error > 0 and last.gain >= highest):
        return None
    return round(min(highest, last.gain + error / _slope(tries)), 2)


def best_gain(tries: Sequence[Try]) -> float:
    """Return the gain that came closest to the target."""
    return min(tries, key=lambda each: abs(TARGET_LUFS - each.integrated)).gain


def _slope(tries: Sequence[Try]) -> float:
    """Estimate how much louder audio becomes with each dB, from the last two tries."""
    if len(tries) == 1:
        return 1.0
    before, last = tries[-2:]
    gained = last.gain - before.gain
    return min(1.0, max(_LEAST_SLOPE, (last.integrated - before.integrated) / gained)) if gained else 1.0
