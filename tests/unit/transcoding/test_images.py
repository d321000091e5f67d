"""Headers of still images, by their structure."""

import struct

import pytest

from transcoding.errors import InputRejected
from transcoding.probing.images import ImageFormat, ImageHeader, image_header


def a_chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + bytes(4)


def a_png(width: int = 20, height: int = 10) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + a_chunk(b"IHDR", header) + a_chunk(b"IDAT", b"x") + a_chunk(b"IEND")


def a_jpeg(width: int = 20, height: int = 10) -> bytes:
    frame = struct.pack(">BHH", 8, height, width) + bytes(10)
    parts = [(0xE0, b"JFIF\0"), (0xDB, bytes(65)), (0xC2, frame)]
    segments = b"".join(b"\xff" + bytes([kind]) + struct.pack(">H", 2 + len(data)) + data for kind, data in parts)
    return b"\xff\xd8" + segments + b"\xff\xda\0\0\xff\xd9"


def a_webp(kind: bytes, body: bytes) -> bytes:
    chunk = b"WEBP" + kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(chunk)) + chunk


EXTENDED = a_webp(b"VP8X", b"\x10\0\0\0" + (19).to_bytes(3, "little") + (9).to_bytes(3, "little"))
LOSSLESS = a_webp(b"VP8L", b"\x2f" + (19 | 9 << 14).to_bytes(4, "little") + bytes(8))
LOSSY = a_webp(b"VP8 ", bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", 20, 10) + bytes(8))


@pytest.mark.parametrize(
    ("data", "format_"),
    [
        (a_png(), ImageFormat.PNG),
        (a_jpeg(), ImageFormat.JPEG),
        (EXTENDED, ImageFormat.WEBP),
        (LOSSLESS, ImageFormat.WEBP),
        (LOSSY, ImageFormat.WEBP),
    ],
)
def test_format_and_size_are_read(data: bytes, format_: ImageFormat) -> None:
    assert image_header(data) == ImageHeader(format=format_, width=20, height=10)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "no PNG, JPEG or WebP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no PNG, JPEG or WebP"),
        (b"GIF89a" + bytes(20), "no PNG, JPEG or WebP"),
        (a_png()[:-5], "damaged"),
        (a_png()[:20], "damaged"),
        (a_png().replace(b"IHDR", b"IDAT"), "damaged"),
        (a_png(5000, 10), "5000x10 pixels; 4096 a side"),
        (a_png(0, 10), "0x10 pixels"),
        (a_jpeg()[:-4], "damaged"),
        (a_jpeg().replace(b"\xff\xc2", b"\xff\xc4"), "damaged"),
        (LOSSY[:-3], "damaged"),
        (EXTENDED.replace(b"\x10\0\0\0", b"\x12\0\0\0"), "damaged"),
        (a_webp(b"ALPH", bytes(20)), "damaged"),
    ],
)
def test_anything_else_is_refused(data: bytes, part: str) -> None:
    with pytest.raises(InputRejected, match=part):
        image_header(data)
