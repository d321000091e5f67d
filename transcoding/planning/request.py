"""The request of a job and the policy of an installation: all that is decided before a source is looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from transcoding.encoders import CODEC_NAMES, COMPATIBLE_CODEC, CPU_PRESET, HardwarePath
from transcoding.planning.burn_in import BurnIn
from transcoding.planning.sizing import ChunkLimits
from transcoding.timeline import Timeline


class DynamicRange(StrEnum):
    """The dynamic range of the outputs of a source of high dynamic range."""

    SDR = "sdr"
    """Standard: its colors are mapped to it."""
    SOURCE = "source"
    """The one of the source, with the same ladder of standard range beside it."""


class AudioChannels(StrEnum):
    """The renditions of an audio track."""

    STEREO = "stereo"
    SURROUND = "surround"
    """Stereo, and beside it 5.1 of tracks that have more channels than stereo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """The choices of a client. Without resolution and bitrate it is the whole ladder."""

    resolution: str | None = None
    """"720p" or "1280x720"."""
    resolutions: Sequence[str] | None = None
    """The ladder, as sizes like that of `resolution`. None: all rungs that fit the source."""
    codec: str = "h264"
    """A key of `CODEC_NAMES`."""
    codecs: Sequence[str] | None = None
    """Several of them, for one presentation. None: `codec` alone."""
    preset: str | None = None
    """One of the encoder's presets, or `CPU_PRESET`. None: the installation's."""
    bitrate: int | None = None
    """Bits per second."""
    mp4: bool = False
    """Make progressive files besides the segments."""
    m4a: bool = False
    """Make a file of each audio rendition."""
    enable_hls: bool = True
    """Offer HLS to players."""
    enable_dash: bool = True
    """Offer DASH to players."""
    beside: bool = False
    """Add to the renditions that play, instead of taking their place."""
    two_pass: bool | None = None
    """Analyse before encoding. None: as the installation does."""
    video_stream: int | None = None
    """Number of the video track in the uploaded file. None: the one that is chosen by rule."""
    audio_streams: Sequence[int] | None = None
    """Numbers of the audio tracks, the one that players begin with first. None: all that can be decoded."""
    audio_codec: str = "aac"
    """A key of `AUDIO_ENCODERS`."""
    audio_channels: str = AudioChannels.STEREO.value
    """A value of `AudioChannels`."""
    normalize_audio: bool = False
    """Bring all audio to one loudness."""
    dynamic_range: str = DynamicRange.SDR.value
    """A value of `DynamicRange`."""
    timeline: str = Timeline.UNION
    """A value of `Timeline`."""
    start: float | None = None
    """Seconds on the clock of outputs of the whole video. None: from its beginning on."""
    end: float | None = None
    """The same; the frame that begins then is the first that is left out. None: to its end."""
    watermark: Mapping[str, Any] | None = None
    """As `transcoding.planning.watermarks` reads it."""
    burn_in: BurnIn | Mapping[str, Any] | None = None
    """The text to draw; of a stored request by its name, which `jobs.planning.texts` looks up."""
    deinterlace: str | None = None
    """"frame" or "field", for interlaced sources. None: film where there is film, else frames."""

    @property
    def of_each_codec(self) -> tuple["JobRequest", ...]:
        """Return the same request of each codec alone: the one that every player plays first, others as requested."""
        names = sorted(self.codecs or [self.codec], key=lambda name: CODEC_NAMES[name].codec != COMPATIBLE_CODEC)
        return tuple(replace(self, codec=name, codecs=None) for name in names)

    @property
    def video_codec(self) -> str:
        """The codec itself, whichever of its names was requested."""
        return CODEC_NAMES[self.codec].codec

    @property
    def cpu_only(self) -> bool:
        """Tell whether only the CPU can do this."""
        return CODEC_NAMES[self.codec].cpu_only or self.preset == CPU_PRESET or self.two_pass is True

    @property
    def is_ladder(self) -> bool:
        """Tell whether all rungs are requested that fit the source, rather than one rendition."""
        return self.resolution is None and self.bitrate is None and self.resolutions is None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPolicy:
    """The settings of an installation that go into every plan."""

    preset: str
    """The preset of requests that name none."""
    chunk_work_seconds: int
    """Target for the work of a chunk, in seconds of one worker slot."""
    min_chunk_seconds: int
    max_chunk_seconds: int
    assumed_pixels_per_second: int
    """Speed of a worker slot with preset veryfast, as long as none was measured."""
    max_seconds: int
    """Longest video."""
    max_chunks: int
    max_renditions: int
    max_step_seconds: int = 3600
    """Expected duration of a chunk beyond which a job is refused."""
    max_work_seconds: int = 500_000
    """Expected work of all chunks beyond which a job is refused, in seconds of one worker slot."""
    two_pass: bool = False
    """CPU encoders analyse first, unless a request says otherwise."""
    hardware_path: HardwarePath = HardwarePath.UPLOAD
    """The path of frames to devices, where a source allows both."""

    @property
    def chunk_limits(self) -> ChunkLimits:
        """The part that sizing reads."""
        return ChunkLimits(
            work_seconds=self.chunk_work_seconds,
            min_seconds=self.min_chunk_seconds,
            max_seconds=self.max_chunk_seconds,
            max_chunks=self.max_chunks,
        )
