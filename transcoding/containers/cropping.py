"""The part of a frame that MP4 and QuickTime say is shown: `clap`, the clean aperture.

ffprobe does not report it, and of ffmpeg's versions only newer ones follow it. What is read is bounded: headers of
boxes, and a few numbers.
"""

import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import IO

from transcoding.containers.spans import Span
from transcoding.probing.streams import Crop

_MAX_BOXES = 10_000
_ENTRY_FIELDS = 78
"""Bytes of a video sample entry before the boxes in it."""
_CLAP = struct.Struct(">IIIIiIiI")
_MOOV_PATH = ("mdia", "minf", "stbl", "stsd")


def crop_in_mp4(file: IO[bytes], size: int, *, track: int, width: int, height: int) -> Crop:
    """Read the clean aperture of a track, by its position, whose frames have this size."""
    moov = next((span for kind, span in _boxes(file, (0, size)) if kind == "moov"), None)
    tracks = [span for kind, span in _boxes(file, moov) if kind == "trak"] if moov else []
    if track >= len(tracks):
        return Crop()
    at: Span | None = tracks[track]
    for name in _MOOV_PATH:
        at = next((span for kind, span in _boxes(file, at) if kind == name), None) if at else None
    if at is None:
        return Crop()
    entry = next((span for _, span in _boxes(file, (at[0] + 8, at[1]))), None)
    if entry is None:
        return Crop()
    inner = _boxes(file, (entry[0] + _ENTRY_FIELDS, entry[1]))
    clap = next((span for kind, span in inner if kind == "clap"), None)
    return _aperture(_read(file, clap[0], _CLAP.size), width, height) if clap else Crop()


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


def _boxes(file: IO[bytes], span: Span) -> Iterator[tuple[str, Span]]:
    """Yield the types and payloads of the boxes in a span, as far as they are whole."""
    position, end = span
    for _ in range(_MAX_BOXES):
        head = _read(file, position, 16)
        if len(head) < 8 or position + 8 > end:  # noqa: PLR2004 - size and type
            return
        length, start = int.from_bytes(head[:4], "big"), position + 8
        if length == 1 and len(head) == 16:  # noqa: PLR2004 - and a size of 64 bits
            length, start = int.from_bytes(head[8:], "big"), position + 16
        following = position + length if length else end
        if following < start or following > end:
            return
        yield head[4:8].decode("latin-1"), (start, following)
        position = following


def _read(file: IO[bytes], position: int, length: int) -> bytes:
    file.seek(position)
    return file.read(length)
