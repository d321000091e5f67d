"""The way from the fields of a source to the frames of its outputs, and the frame rate that it leads to."""

from dataclasses import replace
from enum import StrEnum
from fractions import Fraction

from transcoding.grid import STANDARD_RATES
from transcoding.probing.facts import SourceFacts

FILM_CYCLE = 5
"""Frames of video that four frames of film are spread over (2:3 pulldown)."""
_FILM_RATES = {Fraction(30000, 1001): Fraction(24000, 1001), Fraction(30): Fraction(24)}
_FIELDS = 2


class Deinterlacing(StrEnum):
    """The material of a frame of the outputs."""

    NONE = "none"
    """A frame of the source, as it is."""
    FRAME = "frame"
    """Both fields of a frame: as many frames as the source has."""
    FIELD = "field"
    """A field: twice as many frames, which move as smoothly as the source does."""
    FILM = "film"
    """The frame of film that was spread over several fields: four of five frames."""


DEINTERLACE_CHOICES = (Deinterlacing.FRAME, Deinterlacing.FIELD)
"""The choices of a client. Without one it is film where there is film, else frames."""


def deinterlacing_of(facts: SourceFacts, requested: str | None) -> Deinterlacing:
    """Choose what frames are made of. Field rates that no output can have, such as 96, become frame rates."""
    if not facts.has_video or not facts.video.interlaced:
        return Deinterlacing.NONE
    if requested is None and facts.video.film and facts.rate in _FILM_RATES:
        return Deinterlacing.FILM
    if requested == Deinterlacing.FIELD and facts.rate * _FIELDS in STANDARD_RATES:
        return Deinterlacing.FIELD
    return Deinterlacing.FRAME


def retimed(facts: SourceFacts, chosen: Deinterlacing) -> SourceFacts:
    """Return the facts with the rate and the number of the frames that the outputs have."""
    if chosen is Deinterlacing.FIELD:
        total = None if facts.total_frames is None else facts.total_frames * _FIELDS
        return replace(facts, rate=facts.rate * _FIELDS, total_frames=total)
    if chosen is Deinterlacing.FILM:
        rate = _FILM_RATES[facts.rate]
        total = None if facts.total_frames is None else max(1, round(facts.total_frames * rate / facts.rate))
        return replace(facts, rate=rate, total_frames=total)
    return facts
