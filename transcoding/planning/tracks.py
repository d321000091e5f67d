"""The audio and text tracks of a plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from transcoding.encoders import AAC
from transcoding.grid import FrameGrid
from transcoding.probing.media import AudioStream

_SHORTEST_PEAK = Fraction(4)
"""Seconds over which the peak rate counts; a shorter clip is measured as a whole."""
_MORE_FRAMES = 4
"""So many frames more than its average rate has a stretch of AAC, priming included."""
_CONTAINER_OVERHEAD = Fraction(6, 5)
"""Boxes around the frames: up to a fifth at this bitrate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioRendition:
    """One audio track to encode: which stream of the source, what as, and what playlists say of it.

    `stream` is ffprobe's index of the source's stream, `language` as the source names it, empty if it does not.
    `bitrate` and `peak_bandwidth` are bits per second. One track at most is the `default` that players begin with.
    """

    name: str
    stream: int
    language: str
    default: bool
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
