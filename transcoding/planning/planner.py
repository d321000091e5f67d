"""From the facts of a source, a request and the policy to a plan."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from transcoding.color import BT709, ColorSpace
from transcoding.encoders import CPU_PRESET, HardwarePath, RateControl, VideoEncoder, cpu_encoder
from transcoding.encoders.traits import DeviceTraits
from transcoding.errors import InputRejected, PlanTooLarge
from transcoding.grid import FrameGrid
from transcoding.planning.burn_in import BurnIn
from transcoding.planning.cutting import cut_of
from transcoding.planning.encodings import EncoderChoice, Encoding
from transcoding.planning.fields import Deinterlacing, deinterlacing_of, retimed
from transcoding.planning.ladder import Ladder, RenditionSize, chosen_ladder, plan_ladder, single_rung
from transcoding.planning.naming import named_audio, with_video
from transcoding.planning.plan import Chunk, EncodePlan
from transcoding.planning.request import DynamicRange, JobRequest, PlanPolicy
from transcoding.planning.sizing import ChunkSizing, Throughput, Work, frame_work, size_chunks
from transcoding.planning.tracks import VideoRendition, audio_renditions
from transcoding.planning.watermarks import watermark_of
from transcoding.probing.facts import SourceFacts
from transcoding.probing.streams import AudioStream
from transcoding.sniffing.container import FROM_BEGINNING
from transcoding.timeline import NO_HOLD, Cut, Hold, Timeline, hold_for

_DECODED_FORMATS = frozenset({"yuv420p", "yuvj420p"})
"""Pixel formats that every decoder of a device supports: 8 bits, 4:2:0."""
_CONTAINER_OVERHEAD = Fraction(103, 100)
"""Boxes around the frames: 1 to 3 % of a segment at the bit rates of the ladder."""


def plan_job(
    facts: SourceFacts, request: JobRequest, policy: PlanPolicy, *, encoders: Sequence[EncoderChoice] = ()
) -> EncodePlan:
    """Decide rungs, chunks and promises for an encoder of each requested codec, in their order; without, the CPU's.

    Raises:
        InputRejected: The source or the request is beyond the installation's limits, or the request names tracks or
            times that are not there.
        UnknownVersion: The request names tracks, and an earlier version of the program inspected the video.

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
    sizes = _ladder(facts, request).rungs
    choices = encoders or [EncoderChoice(encoder=cpu_encoder(each.video_codec)) for each in request.of_each_codec]
    planned = [
        _planned(
            choice,
            sizes,
            facts,
            grid,
            request,
            policy,
            suffix=f"-{choice.encoder.codec}" if number or request.beside else "",
        )
        for number, choice in enumerate(choices)
    ]
    rungs = sum(len(each.renditions) for each in planned)
    if rungs > policy.max_renditions:
        raise PlanTooLarge(f"{rungs} renditions; at most {policy.max_renditions} are allowed")
    sizing = min((each.sizing for each in planned), key=lambda sizing: sizing.segments)
    chunks = plan_chunks(grid, sizing)
    Work.of(grid, [each.sizing.speed for each in planned], (chunk.segments for chunk in chunks)).refuse_beyond(
        step_seconds=policy.max_step_seconds, total_seconds=policy.max_work_seconds
    )
    return EncodePlan(
        source=replace(facts, others=()),
        color=outputs_color(facts),
        encodings=tuple(
            Encoding(
                encoder_name=each.encoder.ffmpeg_name,
                preset=preset_of(request, policy),
                hardware_path=hardware_path(
                    facts,
                    each.encoder,
                    policy.hardware_path,
                    deinterlacing,
                    hold=hold,
                    marked=request.watermark is not None or request.burn_in is not None,
                ),
                two_pass=each.two_pass,
                speed=each.sizing.speed,
            )
            for each in planned
        ),
        deinterlacing=deinterlacing,
        renditions=tuple(rendition for each in planned for rendition in each.renditions),
        groups=tuple(group for each in planned for group in each.groups),
        chunks=chunks,
        audio=audio_renditions(audio, grid, request),
        mp4=request.mp4,
        m4a=request.m4a,
        hls=request.enable_hls,
        dash=request.enable_dash,
        sizing=sizing,
        timeline=timeline,
        hold=hold,
        cut=cut,
        watermark=watermark_of(request.watermark),
        burn_in=request.burn_in if isinstance(request.burn_in, BurnIn) else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """All renditions of one codec, and the chunks that suit them alone."""

    encoder: VideoEncoder
    two_pass: bool
    renditions: tuple[VideoRendition, ...]
    groups: tuple[tuple[str, ...], ...]
    sizing: ChunkSizing


def _planned(  # noqa: PLR0913, PLR0917 - all that decides about the renditions of a codec
    choice: EncoderChoice,
    sizes: Sequence[RenditionSize],
    facts: SourceFacts,
    grid: FrameGrid,
    request: JobRequest,
    policy: PlanPolicy,
    *,
    suffix: str,
) -> _Planned:
    encoder, preset = choice.encoder, preset_of(request, policy)
    two_pass = _two_pass(grid, request, encoder, policy)
    high = _high_range(facts, request, encoder)
    renditions = tuple(
        rendition_of(
            replace(size, name=f"{size.name}{suffix}"),
            encoder,
            preset,
            grid,
            RateControl.for_bitrate(size.bitrate, constant_quality=encoder.holds_quality and request.bitrate is None),
            high=color,
        )
        for color in (None, high)[: 1 + bool(high)]
        for size in sizes
    )
    work = frame_work(facts.video.display, renditions) * (1 + two_pass)
    throughput = choice.measured or assumed_throughput(encoder, preset, policy)
    return _Planned(
        encoder=encoder,
        two_pass=two_pass,
        renditions=renditions,
        groups=_groups([rung.name for rung in renditions], choice.sessions if encoder.hardware else None),
        sizing=size_chunks(grid, work, throughput, policy.chunk_limits, whole=facts.demuxer in FROM_BEGINNING),
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
        encodings=(),
        renditions=(),
        chunks=(),
        audio=audio_renditions(audio, whole.lasting(cut.frames(whole.rate)) if cut else whole, request),
        mp4=request.mp4,
        m4a=request.m4a,
        hls=request.enable_hls,
        dash=request.enable_dash,
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
    if request.resolutions is not None:
        return chosen_ladder(facts.video.display, request.resolutions)
    return single_rung(facts.video.display, requested=request.resolution, bitrate=request.bitrate)


def keeps_range(request: JobRequest, encoder: VideoEncoder) -> bool:
    """Tell whether a request keeps high dynamic range, in renditions of 10 bits beside those of standard range."""
    return request.dynamic_range == DynamicRange.SOURCE and encoder.ten_bits is not None


def _high_range(facts: SourceFacts, request: JobRequest, encoder: VideoEncoder) -> ColorSpace | None:
    """Return the color space of renditions of high dynamic range, if there are to be any."""
    color = facts.video.color
    return _encoded(facts, color) if keeps_range(request, encoder) and color and color.hdr else None


def rendition_of(  # noqa: PLR0913 - all that decides about a rendition, by name
    size: RenditionSize,
    encoder: VideoEncoder,
    preset: str,
    grid: FrameGrid,
    control: RateControl,
    *,
    high: ColorSpace | None = None,
) -> VideoRendition:
    """Plan a rendition of a size; `high` is the color space of one of high dynamic range."""
    ten_bits = encoder.ten_bits if high else None
    profile = ten_bits.profile if ten_bits else encoder.presets[preset].profile
    level = encoder.level(size.width, size.height, grid.rate, control)
    return VideoRendition(
        name=f"{size.name}-hdr" if high else size.name,
        codec=encoder.codec,
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


def outputs_color(facts: SourceFacts) -> ColorSpace | None:
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
