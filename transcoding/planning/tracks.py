"""The video, audio and text tracks of a plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from transcoding.color import ColorSpace
from transcoding.encoders import AAC
from transcoding.grid import FrameGrid
from transcoding.probing.streams import AudioStream

_SHORTEST_PEAK = Fraction(4)
"""Seconds over which the peak rate counts; a shorter clip is measured as a whole."""
_MORE_FRAMES = 4
"""So many frames more than its average rate has a stretch of AAC, priming included."""
_CONTAINER_OVERHEAD = Fraction(6, 5)
"""Boxes around the frames: up to a fifth at this bitrate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoRendition:
    """One rung to encode, and its entry in playlists. Rates are bits per second, the buffer is bits."""

    name: str
    width: int
    height: int
    bitrate: int
    max_rate: int
    buffer_size: int
    profile: str
    level: str
    codecs: str
    peak_bandwidth: int
    """The highest rate of a segment, boxes included: a promise of the playlists."""
    tier: str = ""
    constant_quality: bool = False
    """No bitrate was requested: encoders that can hold a quality, and only stay below `max_rate`."""
    hdr: ColorSpace | None = None
    """The color space of a rung of high dynamic range, which has 10 bits. None: 8 bits, and that of the plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioRendition:
    """One audio track to encode, and its entry in playlists. Rates are bits per second."""

    name: str
    stream: int
    """ffprobe's index of the stream in the source."""
    language: str
    """As the source names it; empty if it does not."""
    default: bool
    """Players start with this track. At most one is the default."""
    channels: int
    bitrate: int
    codecs: str
    peak_bandwidth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTrack:
    """One text track: subtitles in a language.

    `forced` subtitles are shown to everybody, others on request. `captions` describe noises and music besides speech.
    """

    name: str
    language: str
    default: bool
    forced: bool
    captions: bool


def audio_renditions(streams: Sequence[AudioStream], grid: FrameGrid) -> tuple[AudioRendition, ...]:
    """Plan a rendition of each of these streams; the first one is the default.

    They are called audio, audio-2, audio-3 and so on.
    """
    return tuple(
        AudioRendition(
            name=f"audio-{number}" if number > 1 else "audio",
            stream=stream.index,
            language=stream.language,
            default=number == 1,
            channels=AAC.channels,
            bitrate=AAC.bitrate,
            codecs=AAC.codecs,
            peak_bandwidth=_peak_bandwidth(grid),
        )
        for number, stream in enumerate(streams, start=1)
    )


def _peak_bandwidth(grid: FrameGrid) -> int:
    """AAC holds its rate but for a frame or two; a very short clip's priming frames weigh more."""
    frame_seconds = Fraction(AAC.frame_samples, AAC.sample_rate)
    seconds = min(grid.peak_frames / grid.rate, _SHORTEST_PEAK)
    return int(AAC.bitrate * (1 + _MORE_FRAMES * frame_seconds / seconds) * _CONTAINER_OVERHEAD)
