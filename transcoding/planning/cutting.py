"""The part of a video that a request names, on the grid of its frames."""

import math
from fractions import Fraction

from transcoding.errors import TimeOutside
from transcoding.grid import FrameGrid
from transcoding.planning.request import JobRequest
from transcoding.timeline import Cut

ROUNDED_SECONDS = Fraction(1, 1000)
"""Times that are read off a player, or off our own documents, are rounded. A frame that begins up to this long before
`start` begins at it."""


def cut_of(whole: FrameGrid, request: JobRequest, *, exact: bool) -> Cut | None:
    """Return the part from the first frame at or after `start` to the last one before `end`.

    So parts that join in time join in frames. `whole` is the grid of outputs of the whole video. `exact`: there are no
    frames, only audio, which can be cut anywhere. None: it is all of the video. Raises TimeOutside.
    """
    if request.start is None and request.end is None:
        return None
    start = _seconds(request.start or 0)
    end = whole.duration if request.end is None else _seconds(request.end)
    if start > whole.duration - ROUNDED_SECONDS:
        raise TimeOutside(
            f"start is not before the end of the video, which lasts {_text(whole.duration)} s", field="start"
        )
    if end > whole.duration + ROUNDED_SECONDS:
        raise TimeOutside(f"end is behind that of the video, which lasts {_text(whole.duration)} s", field="end")
    first, last = (_frame(time, whole) for time in (start, min(end, whole.duration)))
    if last <= first:
        field = "start" if request.end is None else "end"
        raise TimeOutside(f"no frame starts between start and end: one lasts {_text(1 / whole.rate)} s", field=field)
    if (first, last) == (0, whole.frame_count):
        return None
    if exact:
        return Cut(start=start, length=min(end, whole.duration) - start)
    return Cut(start=first / whole.rate, length=(last - first) / whole.rate)


def _frame(time: Fraction, grid: FrameGrid) -> int:
    return max(0, math.ceil((time - ROUNDED_SECONDS) * grid.rate))


def _seconds(time: float) -> Fraction:
    """Return what was written, and not the binary number next to it."""
    return Fraction(str(time))


def _text(seconds: Fraction) -> str:
    return f"{float(seconds):.3f}"
