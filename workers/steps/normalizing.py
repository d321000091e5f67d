"""Find the change of level that brings a track to the loudness of EBU R 128."""

import logging
from collections.abc import Callable

from transcoding.commands.command import FfmpegCommand
from transcoding.commands.loudness import rendition_loudness_command
from transcoding.loudness import UNCHANGED, Correction, Try, best_gain, needed_correction, next_gain
from transcoding.planning.plan import EncodePlan
from transcoding.planning.tracks import AudioRendition
from transcoding.probing.streams import Loudness

Measure = Callable[[FfmpegCommand], Loudness | None]
"""Runs a command, and returns the loudness that it reports."""

log = logging.getLogger(__name__)


def correction_for(plan: EncodePlan, track: AudioRendition, source: str, measure: Measure) -> Correction:
    """Return the correction of a track in this source; `UNCHANGED` where its loudness is not to be changed.

    The loudness that inspection measured is used where it is that of the rendition. With a limiter, the track is
    measured once for each gain that is tried.
    """
    if not track.normalized:
        return UNCHANGED

    def measured(correction: Correction) -> Loudness | None:
        return measure(rendition_loudness_command(plan, track, source, correction))

    correction = needed_correction(plan.known_loudness(track) or measured(UNCHANGED))
    if correction.limited:
        correction = Correction(gain=_limited_gain(correction.gain, measured), limited=True)
    log.info("loudness", extra={"event": "loudness_corrected", "gain": correction.gain, "limited": correction.limited})
    return correction


def _limited_gain(first: float, measured: Callable[[Correction], Loudness | None]) -> float:
    tries: list[Try] = []
    gain: float | None = first
    while gain is not None:
        found = measured(Correction(gain=gain, limited=True))
        if found is None:
            return first
        tries.append(Try(gain=gain, integrated=found.integrated))
        gain = next_gain(tries)
    return best_gain(tries)
