"""Latency of a live stream: what viewers get first, whole segments or parts of them."""

from enum import StrEnum

from transcoding.grid import FrameGrid

PARTS_OF_A_GOP = 4


class Latency(StrEnum):
    """The way in which a stream is encoded that has not ended."""

    NORMAL = "normal"
    """Encoders reorder frames and look ahead; viewers get whole segments."""
    LOW = "low"
    """Every frame is encoded at once; viewers get parts of about half a second."""


def part_frames(grid: FrameGrid) -> int:
    """Return the length of a part, in frames: a quarter of a GOP. The last part of one may be shorter."""
    return -(-grid.gop_frames // PARTS_OF_A_GOP)
