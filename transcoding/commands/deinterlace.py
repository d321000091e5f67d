"""Filters that make frames of fields."""

from fractions import Fraction

from transcoding.commands.command import ratio_text, seconds_text
from transcoding.planning.encodings import Encoding
from transcoding.planning.fields import FILM_CYCLE, Deinterlacing
from transcoding.planning.plan import EncodePlan
from transcoding.probing.streams import FieldOrder

_WARM_UP_CYCLES = 2
"""Cycles before a chunk: field matching and decimation look at the frames around them, and no further."""
_ORDERS = {FieldOrder.TOP_FIRST: "tff", FieldOrder.BOTTOM_FIRST: "bff"}
_MODES = {Deinterlacing.FRAME: "send_frame", Deinterlacing.FIELD: "send_field"}
_TICKS_OF_FILM = FILM_CYCLE
"""Ticks of the time base in which a frame of film is a whole number of them, and so is a frame of video."""


def deinterlacing_filters(plan: EncodePlan, encoding: Encoding, first_frame: int) -> tuple[str, ...]:
    """Return filters from the source's frames, on their own clock, to the frames of a chunk from `first_frame` on."""
    if plan.deinterlacing is Deinterlacing.NONE:
        return ()
    if plan.deinterlacing is Deinterlacing.FILM:
        return _film(plan, first_frame)
    if encoding.encoder.device and encoding.on_device:
        return (encoding.encoder.device.deinterlacer,)
    return (*_marked(plan), f"bwdif=mode={_MODES[plan.deinterlacing]}:deint=interlaced")


def _marked(plan: EncodePlan) -> tuple[str, ...]:
    """Mark frames whose own flags are missing or wrong."""
    video = plan.source.video
    return (f"setfield={_ORDERS[video.field_order]}",) if video.fields_unmarked else ()


def _film(plan: EncodePlan, first_frame: int) -> tuple[str, ...]:
    """Put fields together that were one frame of film, and drop the frame that is then there twice in every five.

    Cycles are counted from the first frame of the video, not of the run, so that all chunks drop the same frames.
    """
    film = plan.source.rate
    video = film * FILM_CYCLE / (FILM_CYCLE - 1)
    cycle = max(0, first_frame // (FILM_CYCLE - 1) - _WARM_UP_CYCLES)
    start = Fraction(cycle * FILM_CYCLE) / video
    order = _ORDERS.get(plan.source.video.field_order, "auto")
    later = ratio_text(plan.video_start / film)  # by which the clock of the outputs begins before that of the source
    return (
        f"setpts=PTS-({later})/TB",
        f"fps={ratio_text(video)}:start_time={seconds_text(start)}",
        f"tpad=stop={FILM_CYCLE}:stop_mode=clone",  # matching keeps the last frame to itself
        f"fieldmatch=order={order}:combmatch=full",
        "bwdif=mode=send_frame:deint=interlaced",
        f"settb={ratio_text(1 / (film * _TICKS_OF_FILM))}",
        f"decimate=cycle={FILM_CYCLE}",
        f"setpts=PTS+({later})/TB",
    )
