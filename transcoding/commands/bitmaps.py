"""Subtitles that consist of images: the command that decodes a stream of them, and the filters that draw them.

Those who shape a stream say of each image when it comes and when it goes, and may draw anywhere on a canvas. All of it
is decoded once, into a file of canvases with their transparency: one for each change, each by itself, and empty ones.
"""

from collections.abc import Sequence
from fractions import Fraction

from transcoding.commands.command import (
    PROTOCOLS,
    FfmpegCommand,
    Input,
    Output,
    demuxer_options,
    ratio_text,
    seeking,
)
from transcoding.commands.watermark import overlaid, to_draw
from transcoding.encoders import decoding_memory
from transcoding.planning.plan import EncodePlan
from transcoding.planning.tracks import VideoRendition
from transcoding.probing.streams import Resolution

BITMAPS_TARGET = "bitmaps"
_DEMUXER = "matroska"
_EARLY = Fraction(1, 1000)
"""A frame that starts so much before a time counts as starting then: times were rounded."""
_CANVAS = Resolution(width=1920, height=1080)
"""The canvas of a Blu-ray, which may be larger than the video."""


def bitmaps_command(path: str, *, demuxer: str, stream: int, max_streams: int) -> FfmpegCommand:
    """Decode a stream of the uploaded file; target `BITMAPS_TARGET`, Matroska, on the clock of the file.

    ffmpeg repeats a canvas before it shows another one, and may give several the same time: the last one counts.
    """
    opening: dict[str, str | None] = {
        **demuxer_options(demuxer),
        "protocol_whitelist": PROTOCOLS,
        "max_streams": str(max_streams),
        "copyts": None,
    }
    written: dict[str, str | None] = {
        "c:v": "png",
        "compression_level": "1",
        "pred": "none",
        "fps_mode": "passthrough",
        "enc_time_base": "1/1000",
        "avoid_negative_ts": "disabled",
        "map_metadata": "-1",
        "map_chapters": "-1",
        "f": _DEMUXER,
    }
    return FfmpegCommand(
        inputs=(Input(path=path, options=opening),),
        filter_graph=f"[0:{stream}]settb=1/1000,setpts='max(PTS,0)',format=rgba[bitmaps]",
        outputs=(Output(target=BITMAPS_TARGET, maps=("[bitmaps]",), options=written),),
        memory_bytes=decoding_memory(_CANVAS),
    )


def bitmaps_memory(plan: EncodePlan) -> int:
    """Return the bytes that reading them beside the source may take."""
    return decoding_memory(_CANVAS) if _are_drawn(plan) else 0


def bitmaps_input(plan: EncodePlan, path: str, first_segment: int) -> tuple[Input, ...]:
    """Return the input that `bitmaps` reads, from the last canvas on that is there when the chunk begins."""
    if not _are_drawn(plan):
        return ()
    start = _start(plan, first_segment)
    opening = {"f": _DEMUXER, "protocol_whitelist": PROTOCOLS, "copyts": None}
    return (Input(path=path, options={**opening, **seeking(start if start > 0 else None)}),)


def bitmaps(plan: EncodePlan, chosen: Sequence[VideoRendition], first_segment: int, number: int) -> list[str]:
    """Return the chains that make canvases for each of these renditions, of the input of this number: `bitmap0`, ...

    Canvases fill the frame, whatever their shape. Of those with one time, each comes a microsecond later than the one
    before it: `overlay` takes one at a time.
    """
    if not _are_drawn(plan):
        return []
    shift = ratio_text(_start(plan, first_segment) + _EARLY)
    copies = "".join(f"[canvas{position}]" for position, _ in enumerate(chosen))
    times = f"settb=AVTB,setpts='max(PREV_OUTPTS+1,round(PTS-({shift})/TB))'"
    return [
        f"[{number}:v]{times},format=rgba,split={len(chosen)}{copies}",
        *(
            f"[canvas{position}]{to_draw(plan, rendition, rendition.width, rendition.height)}[bitmap{position}]"
            for position, rendition in enumerate(chosen)
        ),
    ]


def with_bitmaps(plan: EncodePlan, rendition: VideoRendition, position: int) -> tuple[str, ...]:
    """Return the filter that draws `bitmaps` on frames of a rendition, which ends the chain and begins another one.

    Frames have times of their chunk, and get their ticks back.
    """
    if not _are_drawn(plan):
        return ()
    ticks = ratio_text(1 / plan.grid.rate)
    return (f"null[bare{position}];[bare{position}][bitmap{position}]{overlaid(rendition)},settb={ticks}",)


def _are_drawn(plan: EncodePlan) -> bool:
    return plan.burn_in is not None and plan.burn_in.bitmaps is not None


def _start(plan: EncodePlan, first_segment: int) -> Fraction:
    """Return the time at which a chunk begins, on the clock of the file."""
    return plan.text_start(embedded=True) + plan.grid.start(first_segment)
