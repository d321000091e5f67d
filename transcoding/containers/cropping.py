"""The part of a frame that MP4 and QuickTime say is shown: `clap`, the clean aperture.

ffprobe does not report it, and of ffmpeg's versions only newer ones follow it.
"""

import struct
from fractions import Fraction
from typing import IO

from transcoding.containers.sample_entry import entry_boxes, read_at
from transcoding.probing.streams import Crop

_CLAP = struct.Struct(">IIIIiIiI")


def crop_in_mp4(file: IO[bytes], size: int, *, track: int, width: int, height: int) -> Crop:
    """Read the clean aperture of a track, by its position, whose frames have this size."""
    clap = next((span for kind, span in entry_boxes(file, size, track=track) if kind == "clap"), None)
    return _aperture(read_at(file, clap[0], _CLAP.size), width, height) if clap else Crop()


def _aperture(data: bytes, width: int, height: int) -> Crop:
    """Convert the size of a clean aperture, and the distance of its centre from that of the frame."""
    if len(data) < _CLAP.size:
        return Crop()
    columns_n, columns_d, rows_n, rows_d, right_n, right_d, down_n, down_d = _CLAP.unpack(data)
    if not (columns_d and rows_d and right_d and down_d):
        return Crop()
    left, across = _cut(width, Fraction(columns_n, columns_d), Fraction(right_n, right_d))
    top, along = _cut(height, Fraction(rows_n, rows_d), Fraction(down_n, down_d))
    return Crop(left=left, top=top, right=across, bottom=along)


def _cut(side: int, shown: Fraction, offset: Fraction) -> tuple[int, int]:
    """Return what is cut off before and behind; nothing where the numbers make no sense."""
    before = round((side - shown) / 2 + offset)
    behind = side - before - round(shown)
    return (before, behind) if min(before, behind) >= 0 and shown >= 1 else (0, 0)
