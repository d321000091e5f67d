"""Filters that put a chunk's frames on the grid, also where it lies beside the frames of the source.

The filter `fps` shows the first frame from the chunk's start on. It ends with the source: what lies behind is made of
copies of the last frame.
"""

import math
from fractions import Fraction

from transcoding.commands.command import ratio_text
from transcoding.planning.encodings import Encoding
from transcoding.planning.fields import Deinterlacing
from transcoding.planning.plan import EncodePlan

_LAST_SECONDS = 1
"""Seconds before the end of the source from which on a chunk behind it is decoded, should the last frames be lost."""
_ROUNDED_COPIES = 2
"""The length of a varying source's last frame is a matter of rounding; it is long enough with a copy or two."""


def decoded_from(plan: EncodePlan, first_segment: int) -> int:
    """Return the position on the grid from which on the frames of such a run are decoded.

    It is negative where outputs that begin behind the source are made of its last frame.
    """
    start = plan.grid.first_frame(first_segment)
    if plan.video_end is None or start < plan.video_end - _rounded(plan):
        return start
    earliest = min(0, plan.video_start)
    return max(earliest, plan.video_end - 1 - math.ceil(_LAST_SECONDS * plan.grid.rate))


def decoded_seconds(plan: EncodePlan, first_segment: int) -> Fraction:
    """Return the same as a time on the clock of the outputs."""
    return decoded_from(plan, first_segment) / plan.grid.rate


def on_the_grid(plan: EncodePlan, encoding: Encoding, first_segment: int, segments: int) -> list[str]:
    """Return filters for frames on the clock of the outputs. The chunk's first frame comes first out of them.

    Of a chunk behind the source this is the last frame of the source.
    """
    grid, end = plan.grid, plan.video_end
    filters = [f"fps={ratio_text(grid.rate)}:start_time={float(decoded_seconds(plan, first_segment)):.6f}"]
    if end is None:
        return filters
    if plan.source.total_frames == 1 or (plan.hold.after and not plan.source.constant):
        filters[0] += ":eof_action=pass"  # or a short last frame, whose end is rounded to its beginning, is lost
    skipped = min(grid.first_frame(first_segment), end - 1) - decoded_from(plan, first_segment)
    at_end = grid.first_frame(first_segment + segments) >= end - _rounded(plan)
    if copies := skipped + (_spare(plan, encoding) if at_end else 0):
        filters.append(_copies(copies))
    if skipped:
        filters.append(f"trim=start_frame={skipped}")
    return filters


def _rounded(plan: EncodePlan) -> int:
    """Return the number of frames by which the source may end early on the grid."""
    as_it_is = plan.source.constant and plan.deinterlacing not in (Deinterlacing.FIELD, Deinterlacing.FILM)
    return 0 if as_it_is else _ROUNDED_COPIES


def _spare(plan: EncodePlan, encoding: Encoding) -> int:
    """Return the copies of the last frame that are kept ready: the frames of the last GOP may be damaged.

    ffmpeg 5.1 repeats frames in memory only.
    """
    return _rounded(plan) if encoding.on_device else plan.grid.gop_frames


def holding(plan: EncodePlan, first_segment: int, segments: int) -> list[str]:
    """Return filters, behind those that change frames, that repeat the last frame of the source to the chunk's end.

    They count frames from the chunk's first one on. Filters in front lose the frame rate, which `fps` gives them back.
    It needs a frame more than it passes on.
    """
    grid, end = plan.grid, plan.video_end
    chunk_end = grid.first_frame(first_segment + segments)
    if end is None or chunk_end <= end:
        return []
    held = min(chunk_end - end, grid.frames_in(first_segment, segments))
    return [_copies(held + 1), "setpts=N", f"fps={ratio_text(grid.rate)}"]


def _copies(frames: int) -> str:
    return f"tpad=stop={frames}:stop_mode=clone"
