"""Subtitles that consist of images, as bytes: a white rectangle, shown and removed, as on a Blu-ray (PGS)."""

import struct
from collections.abc import Iterable

CANVAS = (320, 180)
CORNER, SIZE = (100, 120), (40, 10)
"""Left and upper edge of the rectangle on the canvas, and its width and height, in pixels."""
_COMPOSITION, _WINDOWS, _PALETTE, _OBJECT, _END = 0x16, 0x17, 0x14, 0x15, 0x80
_EPOCH, _NORMAL = 0x80, 0x00


def rectangle(times: Iterable[tuple[float, float]]) -> bytes:
    """Return a file that shows the rectangle from one time to another, in seconds, again and again."""
    found, number = b"", 0
    for start, end in times:
        found += _shown(start, number) + _removed(end, number + 1)
        number += 2
    return found


def _shown(time: float, number: int) -> bytes:
    lines = (b"\x00" + bytes([0x80 | SIZE[0], 1]) + b"\x00\x00") * SIZE[1]
    image = struct.pack(">HBB", 0, 0, 0xC0) + struct.pack(">I", len(lines) + 4)[1:] + struct.pack(">HH", *SIZE) + lines
    positioned = struct.pack(">HBBHH", 0, 0, 0, *CORNER)
    return b"".join(
        (
            _segment(time, _COMPOSITION, _composition(number, _EPOCH, 1) + positioned),
            _segment(time, _WINDOWS, struct.pack(">BBHHHH", 1, 0, *CORNER, *SIZE)),
            _segment(time, _PALETTE, bytes([0, 0, 1, 235, 128, 128, 255])),
            _segment(time, _OBJECT, image),
            _segment(time, _END, b""),
        )
    )


def _removed(time: float, number: int) -> bytes:
    windows = struct.pack(">BBHHHH", 1, 0, *CORNER, *SIZE)
    composed = _segment(time, _COMPOSITION, _composition(number, _NORMAL, 0))
    return composed + _segment(time, _WINDOWS, windows) + _segment(time, _END, b"")


def _composition(number: int, state: int, objects: int) -> bytes:
    return struct.pack(">HHBHBBBB", *CANVAS, 0x10, number, state, 0, 0, objects)


def _segment(time: float, kind: int, data: bytes) -> bytes:
    return b"PG" + struct.pack(">IIBH", round(time * 90000), 0, kind, len(data)) + data
