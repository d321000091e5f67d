"""Headers of still images: PNG, JPEG and WebP, by their structure alone. Nothing is decoded here."""

import struct
from dataclasses import dataclass
from enum import StrEnum

from transcoding.errors import InputRejected

MAX_SIDE = 4096
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = (13, b"IHDR")
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG that begin a frame (ITU-T T.81, table B.1)."""
_SCAN, _ALONE = 0xDA, frozenset({0x01, *range(0xD0, 0xD8)})
_ANIMATED, _LOSSLESS, _MARKER = 0x02, 0x2F, 0xFF
_MAX_PARTS = 4096
"""Chunks or segments that are looked at."""


class ImageFormat(StrEnum):
    """A format of still images."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHeader:
    """The format and the size of an image, in pixels."""

    format: ImageFormat
    width: int
    height: int


def image_header(data: bytes) -> ImageHeader:
    """Read the header of an image. Raises InputRejected for anything but a whole PNG, JPEG or WebP of a usual size."""
    for format_, begins, size_of in _FORMATS:
        if data.startswith(begins):
            try:
                width, height = size_of(data)
            except (struct.error, IndexError, ValueError):
                raise InputRejected(f"the image is damaged: it is no whole {format_.upper()}") from None
            if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
                raise InputRejected(f"the image has {width}x{height} pixels; {MAX_SIDE} a side are allowed")
            return ImageHeader(format=format_, width=width, height=height)
    raise InputRejected("this is no PNG, JPEG or WebP")


def _png_size(data: bytes) -> tuple[int, int]:
    """Walk the chunks to the last one: IHDR comes first, IEND last."""
    size, position = (0, 0), len(_PNG)
    for number in range(_MAX_PARTS):
        length, kind = struct.unpack_from(">I4s", data, position)
        if number == 0 and (length, kind) != _PNG_HEADER:
            raise ValueError("no header")
        if number == 0:
            size = struct.unpack_from(">II", data, position + 8)
        position += 12 + length
        if position > len(data):
            raise ValueError("truncated")
        if kind == b"IEND":
            return size
    raise ValueError("too many chunks")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walk the segments to the frame header."""
    if _JPEG_END not in data[-64:]:
        raise ValueError("truncated")
    position = len(_JPEG_START)
    for _ in range(_MAX_PARTS):
        marker, kind = data[position], data[position + 1]
        if marker != _MARKER or kind == _SCAN:
            raise ValueError("no frame header")
        if kind in _FRAME_HEADERS:
            height, width = struct.unpack_from(">HH", data, position + 5)
            return width, height
        step = 1 if kind == _MARKER else 2 if kind in _ALONE else 2 + struct.unpack_from(">H", data, position + 2)[0]
        position += step
    raise ValueError("too many segments")


def _webp_size(data: bytes) -> tuple[int, int]:
    (length,) = struct.unpack_from("<I", data, 4)
    if data[8:12] != b"WEBP" or 8 + length > len(data):
        raise ValueError("truncated")
    kind, body = data[12:16], data[20:]
    if kind == b"VP8X":
        if body[0] & _ANIMATED:
            raise ValueError("animated")
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L" and body[0] == _LOSSLESS:
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("no frame")


_FORMATS = (
    (ImageFormat.PNG, _PNG, _png_size),
    (ImageFormat.JPEG, _JPEG_START, _jpeg_size),
    (ImageFormat.WEBP, b"RIFF", _webp_size),
)
