"""Commands that encode a chunk of the video, or analyse it for the second of two passes."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial

from transcoding.commands.bitmaps import bitmaps, bitmaps_input, bitmaps_memory, with_bitmaps
from transcoding.commands.burn_in import burn_in_files, burned_in
from transcoding.commands.color import (
    color_tags,
    composition,
    decoder_options,
    scaler_options,
    side_data,
    tone_files,
    tone_mapping,
)
from transcoding.commands.command import (
    ANONYMOUS,
    QUIET,
    FfmpegCommand,
    Output,
    fragment_options,
    on_own_clock,
    seconds_text,
    seeking,
    source_input,
)
from transcoding.commands.deinterlace import deinterlacing_filters
from transcoding.commands.diagnosis import FIRST_FRAME
from transcoding.commands.geometry import fitted, steady, turned_on_opening, upright
from transcoding.commands.hardware import device_decoding, device_opening, encoder_options, upload_filters
from transcoding.commands.holding import decoded_from, decoded_seconds, holding, on_the_grid
from transcoding.commands.watermark import image_input, images, watermark_files, watermarked
from transcoding.encoders import EncodeTarget, HardwareDevice, encoding_memory
from transcoding.planning.encodings import Encoding
from transcoding.planning.plan import EncodePlan
from transcoding.planning.tracks import VideoRendition
from transcoding.sniffing.container import FROM_BEGINNING
from transcoding.texts.cues import NO_CUES, Cues

_SEEK_MARGIN = Fraction(1)
"""Seconds before a chunk's start at which decoding starts at the latest, so that the frame shown there is known."""
_NO_CAPTIONS = "sidedata=mode=delete:type=A53_CC"
"""Encoders would copy the closed captions of frames, each in its own way; players have them as texts."""


def chunk_command(  # noqa: PLR0913 - what a run depends on, by name
    plan: EncodePlan,
    source: str,
    *,
    first_segment: int,
    segments: int,
    renditions: Sequence[str] | None = None,
    device: HardwareDevice | None = None,
    threads: int = 0,
    statistics: str = "",
    mark: str = "",
    cues: Cues = NO_CUES,
    canvases: str = "",
) -> FfmpegCommand:
    """Decode some segments once and encode them into rungs, as CMAF fragments that continue where others end.

    `renditions` are the names of the rungs, all of one codec; None means all. `statistics` is the path prefix of the
    analysis of these segments, for the second of two passes. `mark` is the path of the samples of the watermark's
    image, if it has one, `cues` are the text to burn in, on the clock of the outputs, `canvases` the path of the images
    to burn in. Raises ValueError for a hardware encoder without a `device`, and for several codecs.
    """
    chosen = _chosen(plan, renditions)
    target = partial(plan.target, pass_number=2 if statistics else 0, statistics=statistics, threads=threads)
    outputs = _outputs(plan, chosen, target, device, _fragment_options(plan, first_segment, segments))
    return _encoding(
        plan,
        source,
        chosen,
        outputs,
        device,
        first_segment=first_segment,
        segments=segments,
        mark=mark,
        cues=cues,
        canvases=canvases,
    )


def analysis_command(  # noqa: PLR0913 - what a run depends on, by name
    plan: EncodePlan,
    source: str,
    *,
    first_segment: int,
    segments: int,
    renditions: Sequence[str] | None = None,
    threads: int = 0,
    statistics: str,
    mark: str = "",
    cues: Cues = NO_CUES,
    canvases: str = "",
) -> FfmpegCommand:
    """Return the first of two passes over some segments; its findings go to files with the path prefix `statistics`."""
    chosen = _chosen(plan, renditions)
    target = partial(plan.target, pass_number=1, statistics=statistics, threads=threads)
    outputs = _outputs(plan, chosen, target, None, {**_cut(plan, first_segment, segments), "f": "null"})
    return _encoding(
        plan,
        source,
        chosen,
        outputs,
        None,
        first_segment=first_segment,
        segments=segments,
        mark=mark,
        cues=cues,
        canvases=canvases,
    )


def _outputs(
    plan: EncodePlan,
    chosen: Sequence[VideoRendition],
    target: Callable[[VideoRendition], EncodeTarget],
    device: HardwareDevice | None,
    ending: Mapping[str, str | None],
) -> tuple[Output, ...]:
    return tuple(
        Output(
            target=rendition.name,
            maps=(f"[{rendition.name}]",),
            options={**_video_options(plan.encoding_of([rendition.name]), target(rendition), device), **ending},
        )
        for rendition in chosen
    )


def _chosen(plan: EncodePlan, names: Sequence[str] | None) -> list[VideoRendition]:
    return [rendition for rendition in plan.renditions if names is None or rendition.name in names]


def _encoding(  # noqa: PLR0913 - what a run depends on, by name
    plan: EncodePlan,
    source: str,
    chosen: Sequence[VideoRendition],
    outputs: tuple[Output, ...],
    device: HardwareDevice | None,
    *,
    first_segment: int,
    segments: int,
    mark: str,
    cues: Cues,
    canvases: str,
) -> FfmpegCommand:
    encoding = plan.encoding_of(rendition.name for rendition in chosen)
    seek = seeking(seek_time(plan, first_segment))
    burned = burn_in_files(plan, chosen, cues, first_segment=first_segment, segments=segments)
    opening = {**device_decoding(encoding), **decoder_options(plan), **_steady_graph(plan, encoding), **seek}
    inputs = (source_input(plan, source, opening), *image_input(plan, mark))
    memory = encoding_memory(encoding.encoder, plan.source.video.display, chosen) + bitmaps_memory(plan)
    return FfmpegCommand(
        inputs=(*inputs, *bitmaps_input(plan, canvases, first_segment)),
        filter_graph=_chunk_graph(
            plan, encoding, chosen, first_segment=first_segment, segments=segments, next_input=len(inputs)
        ),
        outputs=outputs,
        global_options={**QUIET, **device_opening(encoding.encoder, device, encoding.hardware_path)},
        memory_bytes=memory,
        device=device,
        files={**tone_files(plan), **watermark_files(plan), **burned},
    )


def _steady_graph(plan: EncodePlan, encoding: Encoding) -> dict[str, str | None]:
    """Let frames that change size or format in mid-stream through to the filters: a new graph would start at 0 again.

    Filters on a device expect all frames to be alike. In memory frames are turned by filters of the graph, not by
    ffmpeg in front of it, which expects that, too.
    """
    if encoding.on_device:
        return {}
    if turned_on_opening(plan):
        return {} if plan.source.video.interlaced else {"reinit_filter": "0"}
    return {"reinit_filter": "0", "noautorotate": None}


def seek_time(plan: EncodePlan, first_segment: int) -> Fraction | None:
    """Return the seek target of a run from this segment on, in seconds on the source's clock; None: no seek."""
    if plan.source.demuxer in FROM_BEGINNING or decoded_from(plan, first_segment) <= plan.video_start:
        return None
    return max(Fraction(0), plan.first + decoded_seconds(plan, first_segment) - _SEEK_MARGIN)


def read_until(plan: EncodePlan, first_segment: int, segments: int) -> Fraction:
    """Return the time up to which such a run reads frames, in seconds on the source's clock.

    It is one frame beyond the end: the filter shows a frame until the next one is there.
    """
    return plan.first + plan.grid.start(first_segment + segments) + 1 / plan.grid.rate


def _chunk_graph(  # noqa: PLR0913 - what a run depends on
    plan: EncodePlan,
    encoding: Encoding,
    chosen: Sequence[VideoRendition],
    *,
    first_segment: int,
    segments: int,
    next_input: int,
) -> str:
    """Shift to the video's own clock, put frames on the grid from the chunk's first one on, and scale for each rung."""
    chain = [f"[0:{plan.source.video.index}]{_NO_CAPTIONS}," + on_own_clock("setpts", plan.first)]
    decoded = decoded_from(plan, first_segment) - plan.video_start
    chain += [*steady(plan, encoding), *deinterlacing_filters(plan, encoding, max(0, decoded))]
    chain += on_the_grid(plan, encoding, first_segment, segments)
    first = "" if seek_time(plan, first_segment) is None else f"+{FIRST_FRAME}"
    chain += [
        f"setpts='PTS-STARTPTS{first}'" if first else "setpts=PTS-STARTPTS",
        *upright(plan, encoding),
        *composition(plan),
    ]
    held = holding(plan, first_segment, segments)
    scaled = []
    for number, rung in enumerate(chosen):
        last = [*held, *burned_in(plan, rung, first_segment), *with_bitmaps(plan, rung, number)]
        scaled.append(f"[in{number}]{_scaling(plan, encoding, rung, number, last)}[{rung.name}]")
    drawn = (*images(plan, chosen), *bitmaps(plan, chosen, first_segment, next_input))
    return ";".join([*_forks(plan, chosen, ",".join(chain)), *drawn, *scaled])


def _forks(plan: EncodePlan, chosen: Sequence[VideoRendition], chain: str) -> list[str]:
    """Return the chain with a copy for each rung, `in0` and so on; those of standard range share one tone mapping."""
    heads = {rung.name: f"[in{number}]" for number, rung in enumerate(chosen)}
    standard = "".join(heads[rung.name] for rung in chosen if rung.hdr is None)
    high = "".join(heads[rung.name] for rung in chosen if rung.hdr is not None)
    mapping = ",".join([*tone_mapping(plan), f"split={standard.count('[')}"]) + standard
    if not high:
        return [f"{chain},{mapping}"]
    unmapped = f"split={high.count('[')}{high}"
    if not standard:
        return [f"{chain},{unmapped}"]
    return [f"{chain},split=2[high][standard]", f"[high]{unmapped}", f"[standard]{mapping}"]


def _scaling(plan: EncodePlan, encoding: Encoding, rendition: VideoRendition, number: int, last: Sequence[str]) -> str:
    tags, device = color_tags(plan.color_of(rendition)), encoding.encoder.device
    if device and encoding.on_device:
        return ",".join((device.scaling(rendition.width, rendition.height), "setsar=1", *tags))
    size, *bars = fitted(plan, encoding, rendition)
    scale = f"scale={size}:flags=bicubic{scaler_options(plan, rendition)}"
    marked = watermarked(plan, rendition, number)
    uploaded = upload_filters(encoding.encoder, ten_bits=rendition.hdr is not None)
    return ",".join((scale, *bars, "setsar=1", *tags, *side_data(plan, encoding, rendition), *marked, *last, uploaded))


def _video_options(encoding: Encoding, target: EncodeTarget, device: HardwareDevice | None) -> dict[str, str | None]:
    return encoder_options(encoding.encoder, target, device, encoding.hardware_path)


def _fragment_options(plan: EncodePlan, first_segment: int, segments: int) -> dict[str, str | None]:
    grid = plan.grid
    return {
        **_cut(plan, first_segment, segments),
        **ANONYMOUS,
        "video_track_timescale": str(grid.timescale),
        "output_ts_offset": seconds_text(grid.start(first_segment)),
        **fragment_options("frag_keyframe+frag_discont"),
        "flush_packets": "1",
        "f": "mp4",
    }


def _cut(plan: EncodePlan, first_segment: int, segments: int) -> dict[str, str | None]:
    """Cut by number of frames; nothing is dropped or doubled behind the filters."""
    return {"frames:v": str(plan.grid.frames_in(first_segment, segments)), "fps_mode": "passthrough"}
