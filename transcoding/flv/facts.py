"""The facts about an incoming stream that planning needs."""

from dataclasses import dataclass
from fractions import Fraction

from transcoding.color import ColorSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingFacts:
    """All that is known of an incoming stream at its first key frame. Rates are bits per second."""

    width: int
    height: int
    """Size of the decoded and cropped frames."""
    rate: Fraction | None
    """Frames per second. None: nothing says it."""
    video_codec: str
    audio_sample_rate: int | None = None
    """None: no audio has come yet."""
    audio_channels: int | None = None
    video_bitrate: int | None = None
    """As its metadata declare it."""
    audio_bitrate: int | None = None
    sample_aspect: Fraction = Fraction(1)
    """Width of a pixel for a height of 1."""
    interlaced: bool = False
    """Frames may consist of fields."""
    color: ColorSpace | None = None
    """None: its headers do not say."""
