"""The whole decision about one job: what is encoded, in which pieces, and what the playlists may promise.

A plan is stored with its job and never changes: the same plan gives the same files, whoever carries it out.
"""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Self

from transcoding import records
from transcoding.encoders import AAC, VIDEO_ENCODERS, RateControl, VideoEncoder
from transcoding.errors import InputRejected
from transcoding.grid import SEGMENT_GOPS, FrameGrid
from transcoding.ladder import Ladder, RenditionSize, plan_ladder, single_rung
from transcoding.media import SourceFacts

AUDIO = "audio"
"""Name of the one sound rendition that serves every rung."""

_CONTAINER_OVERHEAD = Fraction(103, 100)
"""Boxes around the frames: 1 to 3 % of a segment at the bit rates of the ladder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What a job was asked for. Without resolution and bitrate it is the whole ladder.

    `resolution` is "720p" or "1280x720", `codec` a key of `VIDEO_ENCODERS`, `bitrate` in bits per second; `mp4` asks
    for progressive files besides the segments.
    """

    resolution: str | None = None
    codec: str = "h264"
    preset: str | None = None
    bitrate: int | None = None
    mp4: bool = False

    @property
    def is_ladder(self) -> bool:
        """Whether all fitting rungs are wanted rather than one rendition."""
        return self.resolution is None and self.bitrate is None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPolicy:
    """What an installation decides about every plan: chunk length in seconds, the usual preset, and limits."""

    chunk_seconds: int
    preset: str
    max_seconds: int
    max_chunks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoRendition:
    """One rung to encode, and what a playlist says of it. Rates in bits per second, the buffer in bits."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioRendition:
    """The sound to encode: one AAC stereo rendition at 48 kHz for all rungs."""

    name: str
    bitrate: int
    codecs: str
    peak_bandwidth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A stretch of whole segments that one run of ffmpeg encodes into all rungs."""

    ordinal: int
    first_segment: int
    segments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodePlan:
    """Everything that the steps of a job need to know. `mp4`: each rung is made a progressive file of, too."""

    source: SourceFacts
    codec: str
    preset: str
    renditions: tuple[VideoRendition, ...]
    audio: AudioRendition | None
    chunks: tuple[Chunk, ...]
    mp4: bool

    @property
    def grid(self) -> FrameGrid:
        """Where frames, segments and ticks of every rendition lie."""
        return self.source.grid

    @property
    def encoder(self) -> VideoEncoder:
        """The traits of the video encoder."""
        return VIDEO_ENCODERS[self.codec]

    @property
    def total_frames(self) -> int:
        """Frames of every video rendition."""
        return self.source.total_frames

    @property
    def total_segments(self) -> int:
        """Segments of every rendition, sound included."""
        return self.grid.total_segments

    def to_json(self) -> dict[str, object]:
        """The plan as JSON-ready values."""
        return {field: records.to_json(getattr(self, field)) for field in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read a stored plan. Raises ValueError when it is not one."""
        return records.from_json(cls, data)


def plan_job(facts: SourceFacts, request: JobRequest, policy: PlanPolicy) -> EncodePlan:
    """Decide rungs, chunks and promises. Raises InputRejected when the source is beyond the installation's limits."""
    grid = facts.grid
    if grid.duration > policy.max_seconds:
        raise InputRejected(f"the video lasts {float(grid.duration):.0f} s; at most {policy.max_seconds} s are allowed")
    preset = request.preset or policy.preset
    encoder = VIDEO_ENCODERS[request.codec]
    return EncodePlan(
        source=facts,
        codec=request.codec,
        preset=preset,
        renditions=tuple(_rendition(size, encoder, preset, grid) for size in _ladder(facts, request).rungs),
        audio=_audio(grid) if facts.audio else None,
        chunks=plan_chunks(grid, policy),
        mp4=request.mp4,
    )


def plan_chunks(grid: FrameGrid, policy: PlanPolicy) -> tuple[Chunk, ...]:
    """Cut the video into chunks of about the wanted length, of equal size give or take a segment.

    No chunk is only the tail of the video: a tail shorter than a segment joins the chunk before it.
    """
    segments = grid.total_segments
    segment_seconds = grid.segment_frames / grid.rate
    wanted = max(1, round(policy.chunk_seconds / segment_seconds))
    whole = max(1, grid.total_frames // grid.segment_frames)
    count = min(-(-whole // wanted), policy.max_chunks)
    starts = [-(-whole * ordinal // count) for ordinal in range(count)] + [segments]
    return tuple(
        Chunk(ordinal=ordinal, first_segment=start, segments=end - start)
        for ordinal, (start, end) in enumerate(pairwise(starts))
    )


def resume_from(grid: FrameGrid, chunk: Chunk, first_unpublished: int) -> int:
    """The segment at which a retry of a chunk starts to encode.

    It is the first unpublished one, unless only a short tail is left: too few frames give another edit list and so
    another init segment. Then the segment before it is encoded once more, and not published again.
    """
    left = grid.total_frames - grid.first_frame(first_unpublished)
    if left < grid.gop_frames and first_unpublished > chunk.first_segment:
        return first_unpublished - 1
    return first_unpublished


def _ladder(facts: SourceFacts, request: JobRequest) -> Ladder:
    if request.is_ladder:
        return plan_ladder(facts.video.display)
    return single_rung(facts.video.display, wanted=request.resolution, bitrate=request.bitrate)


def _rendition(size: RenditionSize, encoder: VideoEncoder, preset: str, grid: FrameGrid) -> VideoRendition:
    control = RateControl.for_bitrate(size.bitrate)
    profile = encoder.presets[preset]
    level = encoder.level(size.width, size.height, grid.rate, control)
    return VideoRendition(
        name=size.name,
        width=size.width,
        height=size.height,
        bitrate=control.bitrate,
        max_rate=control.max_rate,
        buffer_size=control.buffer_size,
        profile=profile,
        level=level,
        codecs=encoder.codecs(profile, level),
        peak_bandwidth=int(control.peak(_shortest_measured(grid)) * _CONTAINER_OVERHEAD),
    )


def _audio(grid: FrameGrid) -> AudioRendition:
    """AAC holds its rate but for a frame or two; a very short clip's priming frames weigh more."""
    frame_seconds = Fraction(AAC.frame_samples, 48_000)
    peak = AAC.bitrate * (1 + 4 * frame_seconds / min(grid.duration, Fraction(4))) * Fraction(6, 5)
    return AudioRendition(name=AUDIO, bitrate=AAC.bitrate, codecs=AAC.codecs, peak_bandwidth=int(peak))


def _shortest_measured(grid: FrameGrid) -> Fraction:
    """Length of the segments over which the peak rate counts; players ignore a shorter last one."""
    return min(SEGMENT_GOPS * grid.gop_frames / grid.rate, grid.duration)
