"""The traits records that encoder families fill in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class RateControl:
    """Bits per second on average and at most, and the decoder buffer in bits."""

    bitrate: int
    max_rate: int
    buffer_size: int

    @classmethod
    def for_bitrate(cls, bitrate: int) -> "RateControl":
        """The constrained variable rate of the ladder: half again as much at peaks, a buffer of two seconds."""
        return cls(bitrate=bitrate, max_rate=bitrate * 3 // 2, buffer_size=bitrate * 2)

    def peak(self, seconds: Fraction) -> int:
        """The most bits per second that any stretch of this length can have."""
        return int(self.max_rate + self.buffer_size / seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoEncoder:
    """One video encoder: its name and options for ffmpeg, and what its output is called in a playlist.

    `presets` maps every preset that it knows to the codec profile that the preset produces, `preset_speeds` to how fast
    it is compared with veryfast of x264, which is a guess for the time before anything is measured; `level` picks the
    codec level for width, height, frame rate and peak bit rate; `codecs` names profile and level as RFC 6381 does.
    """

    ffmpeg_name: str
    codec: str
    presets: Mapping[str, str]
    preset_speeds: Mapping[str, float]
    pixel_format: str
    options: Mapping[str, str]
    level: Callable[[int, int, Fraction, RateControl], str]
    codecs: Callable[[str, str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioEncoder:
    """One sound encoder; the samples of priming are cut off by the edit list of its init segment."""

    ffmpeg_name: str
    codecs: str
    bitrate: int
    priming_samples: int
    frame_samples: int
