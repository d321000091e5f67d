"""The video and audio tracks of a plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from transcoding.color import ColorSpace
from transcoding.encoders import AUDIO_ENCODERS, AudioEncoder
from transcoding.grid import FrameGrid
from transcoding.planning.request import AudioChannels, JobRequest
from transcoding.probing.streams import AudioRole, AudioStream

_SHORTEST_PEAK = Fraction(4)
"""Seconds over which the peak rate counts; a shorter clip is measured as a whole."""
_MORE_FRAMES = 4
"""So many frames more than its average rate has a stretch of audio, priming included."""
_CONTAINER_OVERHEAD = Fraction(6, 5)
"""Boxes around the frames: up to a fifth at this bitrate."""
SURROUND_CHANNELS = 6
_STEREO = 2
_MIN_SURROUND_CHANNELS = 4
"""Channels from which on some are behind the listener, as in quad; three are left, right, and center or bass."""
_ASSUMED_CHANNELS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoRendition:
    """One rung to encode, and its entry in playlists. Rates are bits per second, the buffer is bits."""

    name: str
    codec: str
    """The codec of its `Encoding`."""
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


class Mix(StrEnum):
    """The rule by which the channels of a source become those of a rendition (see `transcoding.commands.downmix`)."""

    NONE = "none"
    """Mono and stereo: ffmpeg's own conversion. So it is for channels of which nobody knows where they are."""
    STEREO = "stereo"
    SURROUND = "surround"
    """5.1."""


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
    codec: str
    """A key of `AUDIO_ENCODERS`."""
    role: AudioRole
    mix: Mix
    normalized: bool
    """Its loudness is brought to that of `transcoding.loudness`."""

    @property
    def encoder(self) -> AudioEncoder:
        """The traits of its encoder."""
        return AUDIO_ENCODERS[self.codec]

    @property
    def surround(self) -> bool:
        """Tell whether it is one of six channels, beside that of stereo."""
        return self.mix is Mix.SURROUND


def audio_renditions(
    streams: Sequence[AudioStream], grid: FrameGrid, request: JobRequest
) -> tuple[AudioRendition, ...]:
    """Plan a rendition of each of these streams; the first one is the default.

    They are called audio, audio-2, audio-3 and so on. Behind all of them come those of surround, if they are requested:
    `audio-surround` beside `audio`.
    """
    named = [(f"audio-{number}" if number > 1 else "audio", stream) for number, stream in enumerate(streams, start=1)]
    stereo = [_rendition(name, stream, grid, request, default=name == "audio") for name, stream in named]
    if request.audio_channels != AudioChannels.SURROUND:
        return tuple(stereo)
    surround = [
        _rendition(f"{name}-surround", stream, grid, request, default=name == "audio", surround=True)
        for name, stream in named
        if has_surround(stream)
    ]
    return (*stereo, *surround)


def has_surround(stream: AudioStream) -> bool:
    """Tell whether a track has channels behind or beside the listener, as far as anybody knows."""
    return stream.channels >= _MIN_SURROUND_CHANNELS and _placed(stream)


def _rendition(  # noqa: PLR0913 - all that decides about a rendition, by name
    name: str, stream: AudioStream, grid: FrameGrid, request: JobRequest, *, default: bool, surround: bool = False
) -> AudioRendition:
    encoder = AUDIO_ENCODERS[request.audio_codec]
    bitrate = encoder.surround_bitrate if surround else encoder.bitrate
    return AudioRendition(
        name=name,
        stream=stream.index,
        language=stream.language,
        default=default,
        channels=SURROUND_CHANNELS if surround else encoder.channels,
        bitrate=bitrate,
        codecs=encoder.codecs,
        peak_bandwidth=_peak_bandwidth(grid, encoder, bitrate),
        codec=encoder.codec,
        role=stream.role,
        mix=Mix.SURROUND if surround else _mix(stream),
        normalized=request.normalize_audio,
    )


def _mix(stream: AudioStream) -> Mix:
    """Choose the way to stereo: a rule of our own wherever there is more than stereo."""
    return Mix.STEREO if stream.channels > _STEREO and _placed(stream) else Mix.NONE


def _placed(stream: AudioStream) -> bool:
    """Tell whether it is known where the channels of a track are; ffmpeg assumes it of up to eight."""
    return bool(stream.layout) or stream.channels <= _ASSUMED_CHANNELS


def _peak_bandwidth(grid: FrameGrid, encoder: AudioEncoder, bitrate: int) -> int:
    """Encoders hold their rate but for a frame or two; a very short clip's priming frames weigh more."""
    frame_seconds = Fraction(encoder.frame_samples, encoder.sample_rate)
    seconds = min(grid.peak_frames / grid.rate, _SHORTEST_PEAK)
    return int(bitrate * (1 + _MORE_FRAMES * frame_seconds / seconds) * _CONTAINER_OVERHEAD)
