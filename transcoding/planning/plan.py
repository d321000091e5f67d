"""The whole decision about one job: what is encoded, in which pieces, and what the playlists may promise.

A plan is stored with its job: the same plan gives the same files, whoever carries it out. It never changes, except that
the plan of a source that had not ended gets its end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Self

from transcoding import records
from transcoding.color import ColorSpace
from transcoding.encoders import (
    CODEC_NAMES,
    CPU_PRESET,
    ENCODERS,
    EncodeTarget,
    HardwarePath,
    RateControl,
    VideoEncoder,
    cpu_encoder,
)
from transcoding.encoders.traits import CodecLevel
from transcoding.errors import InputRejected, PlanTooLarge
from transcoding.grid import SEGMENT_GOPS, FrameGrid
from transcoding.planning.ladder import Ladder, RenditionSize, plan_ladder, single_rung
from transcoding.planning.sizing import ChunkLimits, ChunkSizing, Throughput, frame_work, size_chunks
from transcoding.planning.tracks import AudioRendition, TextTrack, audio_renditions
from transcoding.probing.media import SourceFacts
from transcoding.upgrades import PLAN_UPGRADES

_DECODED_FORMATS = frozenset({"yuv420p", "yuvj420p"})
"""Pixel formats of sources that every decoder of a device has been made for: 8 bits, 4:2:0."""
_CONTAINER_OVERHEAD = Fraction(103, 100)
"""Boxes around the frames: 1 to 3 % of a segment at the bit rates of the ladder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """The request of a job. Without resolution and bitrate it is the whole ladder.

    `resolution` is "720p" or "1280x720", `codec` a key of `CODEC_NAMES`, `bitrate` in bits per second; `mp4` requests
    progressive files besides the segments. `two_pass` requests an analysis before encoding, None leaves that to the
    installation. `preset` is one of the encoder's or `CPU_PRESET`.
    """

    resolution: str | None = None
    codec: str = "h264"
    preset: str | None = None
    bitrate: int | None = None
    mp4: bool = False
    two_pass: bool | None = None

    @property
    def video_codec(self) -> str:
        """The codec itself, whichever name it was requested by."""
        return CODEC_NAMES[self.codec].codec

    @property
    def cpu_only(self) -> bool:
        """True if the request can only be done on the CPU."""
        return CODEC_NAMES[self.codec].cpu_only or self.preset == CPU_PRESET or self.two_pass is True

    @property
    def is_ladder(self) -> bool:
        """True if all fitting rungs are requested rather than one rendition."""
        return self.resolution is None and self.bitrate is None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPolicy:
    """Policy of an installation for every plan: the usual preset, what chunks are like, and limits.

    Work of a chunk and lengths of chunks and videos are in seconds. `assumed_pixels_per_second` is what a worker slot
    is taken to encode with preset veryfast as long as nothing was measured. `two_pass`: whether CPU encoders analyse
    first unless a request says otherwise; `hardware_path`: how frames reach devices where a source allows both ways.
    """

    preset: str
    chunk_work_seconds: int
    min_chunk_seconds: int
    max_chunk_seconds: int
    assumed_pixels_per_second: int
    max_seconds: int
    max_chunks: int
    max_renditions: int
    two_pass: bool = False
    hardware_path: HardwarePath = HardwarePath.UPLOAD

    @property
    def chunk_limits(self) -> ChunkLimits:
        """The part that sizing needs."""
        return ChunkLimits(
            work_seconds=self.chunk_work_seconds,
            min_seconds=self.min_chunk_seconds,
            max_seconds=self.max_chunk_seconds,
            max_chunks=self.max_chunks,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoRendition:
    """One rung to encode, and what a playlist says of it. Rates in bits per second, the buffer in bits.

    `constant_quality`: nobody requested the bitrate; encoders that can hold a quality below the most instead.
    """

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
    tier: str = ""
    constant_quality: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A stretch of whole segments that one run of ffmpeg encodes into all rungs."""

    ordinal: int
    first_segment: int
    segments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodePlan:
    """Everything that the steps of a job need to know. `mp4`: each rung is made a progressive file of, too.

    `encoder_name` is a key of `ENCODERS`. `groups` are the names of renditions that one run of ffmpeg encodes together;
    none given means all of them. `color` is what outputs are tagged with; None: with what frames of the source carry.
    """

    source: SourceFacts
    preset: str
    renditions: tuple[VideoRendition, ...]
    audio: tuple[AudioRendition, ...]
    chunks: tuple[Chunk, ...]
    mp4: bool
    color: ColorSpace | None
    text: tuple[TextTrack, ...] = ()
    sizing: ChunkSizing | None = None
    encoder_name: str = "libx264"
    hardware_path: HardwarePath = HardwarePath.CPU
    two_pass: bool = False
    groups: tuple[tuple[str, ...], ...] = ()
    segment_gops: int = SEGMENT_GOPS
    """GOPs in every segment but the last."""

    def __post_init__(self) -> None:
        if self.encoder_name not in ENCODERS:
            raise ValueError(f"there is no encoder {self.encoder_name}")
        names = [
            *(rung.name for rung in self.renditions),
            *(track.name for track in self.audio),
            *(track.name for track in self.text),
        ]
        if len(set(names)) < len(names):
            raise ValueError(f"two tracks have one name: {', '.join(names)}")
        if not self.groups:
            object.__setattr__(self, "groups", (tuple(rendition.name for rendition in self.renditions),))

    @property
    def grid(self) -> FrameGrid:
        """The grid of frames, segments and ticks of every rendition."""
        return self.source.grid(self.segment_gops)

    @property
    def encoder(self) -> VideoEncoder:
        """The traits of the video encoder."""
        return ENCODERS[self.encoder_name]

    @property
    def total_frames(self) -> int:
        """Frames of every video rendition. Raises OpenGrid while the source has not ended."""
        return self.grid.frame_count

    @property
    def open_ended(self) -> bool:
        """Tell whether its source had not ended when it was planned: no chunks, one step encodes until the end."""
        return not self.chunks

    def closed(self, total_frames: int) -> Self:
        """Return the plan of a source that has ended after so many frames. Raises ValueError if it ended elsewhere."""
        if self.source.total_frames not in (None, total_frames):
            raise ValueError(f"the video has {self.source.total_frames} frames, not {total_frames}")
        return replace(self, source=replace(self.source, total_frames=total_frames))

    @property
    def frame_pixels(self) -> int:
        """Work in one frame, in pixels (see transcoding.planning.sizing)."""
        return frame_work(self.source.video.display, self.renditions) * (1 + self.two_pass)

    def audio_track(self, name: str) -> AudioRendition | None:
        """Find an audio track by its name."""
        return next((track for track in self.audio if track.name == name), None)

    @property
    def total_segments(self) -> int:
        """Segments of every rendition, audio included. Raises OpenGrid while the source has not ended."""
        return self.grid.total_segments

    def target(
        self, rendition: VideoRendition, *, pass_number: int = 0, statistics: str = "", threads: int = 0
    ) -> EncodeTarget:
        """Encoder settings of one of the renditions."""
        return EncodeTarget(
            pass_number=pass_number,
            statistics=f"{statistics}-{rendition.name}" if pass_number else "",
            threads=threads,
            preset=self.preset,
            profile=rendition.profile,
            level=CodecLevel(rendition.level, rendition.tier),
            control=RateControl(
                bitrate=rendition.bitrate,
                max_rate=rendition.max_rate,
                buffer_size=rendition.buffer_size,
                constant_quality=rendition.constant_quality,
            ),
            gop=self.grid.gop_frames,
            color=self.color,
        )

    def to_json(self) -> dict[str, object]:
        """Return the plan as JSON-ready values, with its version."""
        return records.to_versioned(self, PLAN_UPGRADES)

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read a stored plan. Raises UnknownVersion for one of a later program, ValueError for anything else."""
        return records.from_versioned(cls, data, PLAN_UPGRADES)


def plan_job(  # noqa: PLR0913 - all that decides about a plan, by name
    facts: SourceFacts,
    request: JobRequest,
    policy: PlanPolicy,
    *,
    encoder: VideoEncoder | None = None,
    sessions: int | None = None,
    measured: Throughput | None = None,
) -> EncodePlan:
    """Decide rungs, chunks and promises for an encoder of the codec requested; without one, the CPU's.

    `sessions` is how many renditions one device encodes at a time, None without limit; `measured` how fast workers
    encode with this encoder and preset. Raises InputRejected when the source, or what is requested, is beyond the
    installation's limits.
    """
    grid = facts.grid()
    if grid.duration > policy.max_seconds:
        raise InputRejected(f"the video lasts {float(grid.duration):.0f} s; at most {policy.max_seconds} s are allowed")
    encoder = encoder or cpu_encoder(request.video_codec)
    preset = preset_of(request, policy)
    rungs = _ladder(facts, request).rungs
    if len(rungs) > policy.max_renditions:
        raise PlanTooLarge(f"{len(rungs)} renditions; at most {policy.max_renditions} are allowed")
    two_pass = _two_pass(facts, request, encoder, policy)
    work = frame_work(facts.video.display, rungs) * (1 + two_pass)
    throughput = measured or assumed_throughput(encoder, preset, policy)
    sizing = size_chunks(grid, work, throughput, policy.chunk_limits)
    requested = request.bitrate is not None
    return EncodePlan(
        source=facts,
        color=_color(facts),
        encoder_name=encoder.ffmpeg_name,
        hardware_path=hardware_path(facts, encoder, policy.hardware_path),
        preset=preset,
        two_pass=two_pass,
        renditions=tuple(_rendition(size, encoder, preset, grid, bitrate_requested=requested) for size in rungs),
        groups=_groups([rung.name for rung in rungs], sessions if encoder.hardware else None),
        audio=audio_renditions(facts.audio[:1], grid),
        chunks=plan_chunks(grid, sizing),
        mp4=request.mp4,
        sizing=sizing,
    )


def preset_of(request: JobRequest, policy: PlanPolicy) -> str:
    """The encoder's preset for a request."""
    return policy.preset if request.preset in (None, CPU_PRESET) else request.preset


def hardware_path(facts: SourceFacts, encoder: VideoEncoder, requested: HardwarePath) -> HardwarePath:
    """Choose where frames are decoded and scaled: on the device only if that is requested and it can do all of it.

    ffmpeg turns frames upright, and follows changes of their size, in memory only.
    """
    if encoder.device is None:
        return HardwarePath.CPU
    suits = (
        facts.video.codec in encoder.device.decoded
        and facts.video.pixel_format in _DECODED_FORMATS
        and not facts.video.rotation
        and (not facts.video.interlaced or encoder.device.deinterlacer)
    )
    return HardwarePath.DEVICE if requested == HardwarePath.DEVICE and suits else HardwarePath.UPLOAD


def _two_pass(facts: SourceFacts, request: JobRequest, encoder: VideoEncoder, policy: PlanPolicy) -> bool:
    """Decide whether to analyse first; of a single frame, x264 finds nothing that it would believe itself."""
    requested = policy.two_pass if request.two_pass is None else request.two_pass
    return requested and encoder.two_pass and facts.total_frames != 1


def _groups(names: Sequence[str], sessions: int | None) -> tuple[tuple[str, ...], ...]:
    """Split renditions into as few runs as sessions allow, of equal size give or take one."""
    runs = -(-len(names) // max(1, sessions)) if sessions is not None else 1
    bounds = [len(names) * run // runs for run in range(runs + 1)]
    return tuple(tuple(names[start:end]) for start, end in pairwise(bounds))


def assumed_throughput(encoder: VideoEncoder, preset: str, policy: PlanPolicy) -> Throughput:
    """Throughput assumed until chunks have been measured."""
    return Throughput(
        pixels_per_second=int(policy.assumed_pixels_per_second * encoder.presets[preset].speed), samples=0
    )


def plan_chunks(grid: FrameGrid, sizing: ChunkSizing) -> tuple[Chunk, ...]:
    """Cut the video into chunks of at most the requested length, of equal size give or take a segment.

    No chunk is only the tail of the video: a tail shorter than a segment joins the chunk before it.
    """
    segments = grid.total_segments
    whole = max(1, grid.frame_count // grid.segment_frames)
    count = -(-whole // sizing.segments)
    starts = [-(-whole * ordinal // count) for ordinal in range(count)] + [segments]
    return tuple(
        Chunk(ordinal=ordinal, first_segment=start, segments=end - start)
        for ordinal, (start, end) in enumerate(pairwise(starts))
    )


def _ladder(facts: SourceFacts, request: JobRequest) -> Ladder:
    if request.is_ladder:
        return plan_ladder(facts.video.display)
    return single_rung(facts.video.display, requested=request.resolution, bitrate=request.bitrate)


def _rendition(
    size: RenditionSize, encoder: VideoEncoder, preset: str, grid: FrameGrid, *, bitrate_requested: bool
) -> VideoRendition:
    control = RateControl.for_bitrate(size.bitrate, constant_quality=encoder.holds_quality and not bitrate_requested)
    profile = encoder.presets[preset].profile
    level = encoder.level(size.width, size.height, grid.rate, control)
    return VideoRendition(
        name=size.name,
        width=size.width,
        height=size.height,
        bitrate=control.bitrate,
        max_rate=control.max_rate,
        buffer_size=control.buffer_size,
        profile=profile,
        level=level.name,
        tier=level.tier,
        constant_quality=control.constant_quality,
        codecs=encoder.codecs(profile, level),
        peak_bandwidth=int(control.peak(_shortest_measured(grid)) * _CONTAINER_OVERHEAD),
    )


def _color(facts: SourceFacts) -> ColorSpace | None:
    """Return what outputs are tagged with; None where nothing is known of the source's color space."""
    display, color = facts.video.display, facts.video.color
    sides = {"long_side": max(display.width, display.height), "short_side": display.short_side}
    return color.encoded(**sides) if color else None


def _shortest_measured(grid: FrameGrid) -> Fraction:
    """Length of the segments over which the peak rate counts; players ignore a shorter last one."""
    return grid.peak_frames / grid.rate
