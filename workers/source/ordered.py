"""H.264 and HEVC whose frames get the times at which they are shown, by the order counts in their headers."""

import mmap
from array import array
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path

from transcoding.containers.raw_matroska import matroska_stream
from transcoding.probing.frame_order import CodedFrames, coded_frames
from transcoding.probing.streams import Resolution


def write_in_order(  # noqa: PLR0913 - a whole copy, by name
    source: Path,
    target: Path,
    *,
    codec: str,
    rate: Fraction,
    size: Resolution,
    times: Callable[[CodedFrames], "array[int]"],
    max_frames: int,
    check: Callable[[], None],
) -> "array[int]":
    """Write a raw stream as Matroska, and return the times of its frames in coding order, in milliseconds.

    `times` works them out. `check` is called again and again, and may raise.

    Raises:
        InputRejected: The stream has no frame, or more than `max_frames`.

    """
    with (
        source.open("rb") as file,
        closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as data,
        target.open("wb") as writing,
    ):
        frames = coded_frames(data, codec, max_frames=max_frames, check=check)
        found = times(frames)
        for block in matroska_stream(data, len(data), frames, found, codec=codec, rate=rate, size=size):
            writing.write(block)
            check()
    return found
