"""From the facts of a source, a request and the policy to a plan."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from transcoding.color import BT709, ColorSpace
from transcoding.encoders import CPU_PRESET, HardwarePath, RateControl, VideoEncoder, cpu_encoder
from transcoding.encoders.traits import DeviceTraits
from transcoding.errors import InputRejected, PlanTooLarge
from transcoding.grid import FrameGrid
from transcoding.planning.cutting import cut_of
from transcoding.planning.fields import Deinterlacing, deinterlacing_of, retimed
from transcoding.planning.ladder import Ladder, RenditionSize, plan_ladder, single_rung
from transcoding.planning.naming import named_audio, with_video
from transcoding.planning.plan import Chunk, EncodePlan
from transcoding.planning.request import DynamicRange, JobRequest, PlanPolicy
from transcoding.planning.sizing import ChunkSizing, Throughput, Work, frame_work, size_chunks
from transcoding.planning.tracks import VideoRendition, audio_renditions
from transcoding.planning.watermarks import watermark_of
from transcoding.probing.facts import SourceFacts
from transcoding.probing.streams import AudioStream
from transcoding.timeline import NO_HOLD, Cut, Hold, Timeline, hold_for

_DECODED_FORMATS = frozenset({"yuv420p", "yuvj420p"})
"""Pixel formats that every decoder of a device supports: 8 bits, 4:2:0."""
_CONTAINER_OVERHEAD = Fraction(103, 100)
"""Boxes around the frames: 1 to 3 % of a segment at the bit rates of the ladder."""


def plan_job(  # noqa: PLR0913 - all that decides about a plan, by name
    facts: SourceFacts,
    request: JobRequest,
    policy: PlanPolicy,
    *,
    encoder: VideoEncoder | None = None,
    sessions: int | None = None,
    measured: Throughput | None = None,
) -> EncodePlan:
    """Decide rungs, chunks and promises for an encoder of the requested codec; without one, the CPU's.

    `sessions` is the number of renditions that one device encodes at a time, None without limit. `measured` is the
    speed of workers with this encoder and preset.

    Raises:
        InputRejected: The source or the request is beyond the installation's limits, or the request names tracks or
            times that are not there.

    """
    facts, audio = with_video(facts, request.video_stream), named_audio(facts, request.audio_streams)
    deinterlacing = deinterlacing_of(facts, request.deinterlace)
    facts = retimed(facts, deinterlacing)
    timeline = Timeline(request.timeline)
    hold = hold_for(facts.span, (track.span for track in audio)) if timeline == Timeline.UNION else NO_HOLD
    whole = facts.grid().longer(hold.frames)
    cut = cut_of(whole, request, exact=not facts.has_video)
    grid = whole.lasting(cut.frames(whole.rate)) if cut else whole
    if grid.duration > policy.max_seconds:
        raise InputRejected(
            f"the video lasts {float(grid.duration):.0f} s; at most {policy.max_seconds} s are allowed: cut it"
        )
    if not facts.has_video:
        return _audio_plan(facts, audio, request, policy, hold=hold, cut=cut)
    encoder = encoder or cpu_encoder(request.video_codec)
    preset = preset_of(request, policy)
    throughput = measured or assumed_throughput(encoder, preset, policy)
    two_pass = _two_pass(grid, request, encoder, policy)
    sizes = _ladder(facts, request).rungs
    high = _high_range(facts, request, encoder)
    rungs = (*sizes, *(sizes if high else ()))
    if len(rungs) > policy.max_renditions:
        raise PlanTooLarge(f"{len(rungs)} renditions; at most {policy.max_renditions} are allowed")
    work = frame_work(facts.video.display, rungs) * (1 + two_pass)
    sizing = size_chunks(grid, work, throughput, policy.chunk_limits)
    chunks = plan_chunks(grid, sizing)
    Work.of(grid, sizing, (chunk.segments for chunk in chunks)).refuse_beyond(
        step_seconds=policy.max_step_seconds, total_seconds=policy.max_work_seconds
    )
    renditions = tuple(
        _rendition(size, encoder, preset, grid, bitrate_requested=request.bitrate is not None, high=color)
        for color in (None, high)[: 1 + bool(high)]
        for size in sizes
    )
    return EncodePlan(
        source=replace(facts, others=()),
        color=_color(facts),
        encoder_name=encoder.ffmpeg_name,
        hardware_path=hardware_path(
            facts, encoder, policy.hardware_path, deinterlacing, hold=hold, marked=request.watermark is not None
        ),
        deinterlacing=deinterlacing,
        preset=preset,
        two_pass=two_pass,
        renditions=renditions,
        groups=_groups([rung.name for rung in renditions], sessions if encoder.hardware else None),
        chunks=chunks,
        audio=audio_renditions(audio, grid, request),
        mp4=request.mp4,
        m4a=request.m4a,
        sizing=sizing,
        timeline=timeline,
        hold=hold,
        cut=cut,
        watermark=watermark_of(request.watermark),
    )


def _audio_plan(  # noqa: PLR0913 - as `plan_job`, and what it found
    facts: SourceFacts,
    audio: Sequence[AudioStream],
    request: JobRequest,
    policy: PlanPolicy,
    *,
    hold: Hold,
    cut: Cut | None,
) -> EncodePlan:
    """Plan for a source without video. Whatever a request says of video has nothing to apply to."""
    whole = facts.grid().longer(hold.frames)
    plan = EncodePlan(
        source=facts,
        color=None,
        preset=preset_of(request, policy),
        renditions=(),
        chunks=(),
        audio=audio_renditions(audio, whole.lasting(cut.frames(whole.rate)) if cut else whole, request),
        mp4=request.mp4,
        m4a=request.m4a,
        timeline=Timeline(request.timeline),
        hold=hold,
        cut=cut,
    )
    if plan.work:
        plan.work.refuse_beyond(step_seconds=policy.max_step_seconds, total_seconds=policy.max_work_seconds)
    return plan


def preset_of(request: JobRequest, policy: PlanPolicy) -> str:
    """Return the encoder's preset for a request."""
    return policy.preset if request.preset in (None, CPU_PRESET) else request.preset


def hardware_path(  # noqa: PLR0913 - all that decides about it, by name
    facts: SourceFacts,
    encoder: VideoEncoder,
    preferred: HardwarePath,
    deinterlacing: Deinterlacing = Deinterlacing.NONE,
    *,
    hold: Hold = NO_HOLD,
    marked: bool = False,
) -> HardwarePath:
    """Choose where this source's frames are decoded and scaled: on the device only if that is preferred and possible.

    ffmpeg turns frames, and follows changes of their size, in memory only. Devices make one frame of two fields, if
    these are marked as such. Version 5.1 repeats the last one in memory only.
    """
    if encoder.device is None:
        return HardwarePath.CPU
    suits = (
        facts.video.codec in encoder.device.decoded
        and facts.video.pixel_format in _DECODED_FORMATS
        and not facts.video.rotation
        and not facts.video.alpha
        and not (facts.video.color and facts.video.color.hdr)
        and facts.constant
        and not hold.after
        and not marked
        and not facts.video.mirrored
        and not facts.video.changes
        and not facts.video.crop
        and _deinterlaces(encoder.device, facts, deinterlacing)
    )
    return HardwarePath.DEVICE if preferred == HardwarePath.DEVICE and suits else HardwarePath.UPLOAD


def _deinterlaces(device: DeviceTraits, facts: SourceFacts, deinterlacing: Deinterlacing) -> bool:
    if deinterlacing is Deinterlacing.NONE:
        return True
    return deinterlacing is Deinterlacing.FRAME and bool(device.deinterlacer) and not facts.video.fields_unmarked


def _two_pass(grid: FrameGrid, request: JobRequest, encoder: VideoEncoder, policy: PlanPolicy) -> bool:
    """Decide whether to analyse first. x264 refuses its own analysis of a single frame."""
    requested = policy.two_pass if request.two_pass is None else request.two_pass
    return requested and encoder.two_pass and grid.frame_count != 1


def _groups(names: Sequence[str], sessions: int | None) -> tuple[tuple[str, ...], ...]:
    """Split renditions into as few runs as sessions allow, of equal size give or take one."""
    runs = -(-len(names) // max(1, sessions)) if sessions is not None else 1
    bounds = [len(names) * run // runs for run in range(runs + 1)]
    return tuple(tuple(names[start:end]) for start, end in pairwise(bounds))


def assumed_throughput(encoder: VideoEncoder, preset: str, policy: PlanPolicy) -> Throughput:
    """Return the speed that is assumed until chunks have been measured."""
    return Throughput(
        pixels_per_second=int(policy.assumed_pixels_per_second * encoder.presets[preset].speed), samples=0
    )


def plan_chunks(grid: FrameGrid, sizing: ChunkSizing) -> tuple[Chunk, ...]:
    """Cut the video into chunks of at most the chosen length, of equal size give or take a segment.

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


def _high_range(facts: SourceFacts, request: JobRequest, encoder: VideoEncoder) -> ColorSpace | None:
    """Return the color space of renditions of high dynamic range, if there are to be any."""
    color = facts.video.color
    keeps = request.dynamic_range == DynamicRange.SOURCE and encoder.ten_bits
    return _encoded(facts, color) if keeps and color and color.hdr else None


def _rendition(  # noqa: PLR0913 - all that decides about a rendition, by name
    size: RenditionSize,
    encoder: VideoEncoder,
    preset: str,
    grid: FrameGrid,
    *,
    bitrate_requested: bool,
    high: ColorSpace | None,
) -> VideoRendition:
    control = RateControl.for_bitrate(size.bitrate, constant_quality=encoder.holds_quality and not bitrate_requested)
    ten_bits = encoder.ten_bits if high else None
    profile = ten_bits.profile if ten_bits else encoder.presets[preset].profile
    level = encoder.level(size.width, size.height, grid.rate, control)
    return VideoRendition(
        name=f"{size.name}-hdr" if high else size.name,
        width=size.width,
        height=size.height,
        bitrate=control.bitrate,
        max_rate=control.max_rate,
        buffer_size=control.buffer_size,
        profile=profile,
        level=level.name,
        tier=level.tier,
        constant_quality=control.constant_quality,
        codecs=ten_bits.codecs(level, high) if ten_bits and high else encoder.codecs(profile, level),
        peak_bandwidth=int(control.peak(_shortest_measured(grid)) * _CONTAINER_OVERHEAD),
        hdr=high,
    )


def _color(facts: SourceFacts) -> ColorSpace | None:
    """Return what outputs are tagged with; None where nothing is known of the source's color space."""
    color = facts.video.color
    if color is None:
        return None
    return BT709 if color.hdr else _encoded(facts, color)


def _encoded(facts: SourceFacts, color: ColorSpace) -> ColorSpace:
    display = facts.video.display
    return color.encoded(long_side=max(display.width, display.height), short_side=display.short_side)


def _shortest_measured(grid: FrameGrid) -> Fraction:
    """Length of the segments over which the peak rate counts; players ignore a shorter last one."""
    return grid.peak_frames / grid.rate
