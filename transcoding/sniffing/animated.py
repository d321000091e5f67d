"""Images in a row: GIF and PNG with more than one frame, and JPEG after JPEG. One alone is an image, and no video."""

import re
from collections.abc import Iterator
from typing import Protocol, overload

Edit = tuple[int, int, bytes]
"""An offset, the number of bytes there that are replaced, and what replaces them."""


class Bytes(Protocol):
    """Bytes in memory or in a mapped file."""

    def __len__(self) -> int:
        """Return their number."""
        ...

    @overload
    def __getitem__(self, index: int, /) -> int: ...
    @overload
    def __getitem__(self, index: slice, /) -> bytes: ...


_PNG = b"\x89PNG\r\n\x1a\n"
_GIF_HEADER_BYTES = 13
_MAX_CHUNKS = 64
_MAX_BLOCKS = 100_000
_EXTENSION, _IMAGE = 0x21, 0x2C
_CONTROL, _APPLICATION = 0xF9, 0xFF
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_FRAME_HEADERS = (0xC0, 0xC1, 0xC2)
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""A marker in or behind compressed data, in which a byte of ones is followed by zero or is a restart."""
_OF_CAMERAS = (b"Exif\x00", b"MPF\x00")
"""Marks of what cameras write: behind such an image there may be others, such as its preview."""
_JPEGS_IN_A_ROW = 3
_MIN_DELAY = 2
"""Hundredths of a second. Browsers take less for no delay at all, and show such frames for 0.1 s."""
_DEFAULT_DELAY = (10).to_bytes(2, "little")
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


def is_animated_png(head: bytes) -> bool:
    """Find the chunk that announces an animation, in front of the image (PNG, third edition)."""
    if not head.startswith(_PNG) or head[12:16] != b"IHDR":
        return False
    position = len(_PNG)
    for _ in range(_MAX_CHUNKS):
        kind = head[position + 4 : position + 8]
        if kind == b"acTL":
            return int.from_bytes(head[position + 8 : position + 12], "big") > 1
        if len(kind) < 4 or kind in (b"IDAT", b"IEND"):  # noqa: PLR2004 - a type has four bytes
            return False
        position += 12 + int.from_bytes(head[position : position + 4], "big")
    return False


def is_animated_gif(head: bytes) -> bool:
    """Follow the blocks of a GIF to its second frame.

    Where the first is longer than the bytes that are there, an animation is one that says how often it repeats, or how
    long its first frame stays.
    """
    if not head.startswith((b"GIF87a", b"GIF89a")) or len(head) < _GIF_HEADER_BYTES:
        return False
    position, frames, timed = _GIF_HEADER_BYTES + _palette(head[10]), 0, False
    while position < len(head):
        kind = head[position]
        if kind == _EXTENSION:
            timed = timed or _says_time(head, position)
            position += 2
        elif kind == _IMAGE:
            frames += 1
            if frames > 1:
                return True
            flags = head[position + 9] if position + 9 < len(head) else 0
            position += 11 + _palette(flags)
        else:
            return False
        end = _behind_blocks(head, position)
        if end is None:
            return timed and frames == 1
        position = end
    return timed and frames == 1


def delay_edits(data: Bytes) -> Iterator[Edit | None]:
    """Yield what to change in a GIF so that every frame says how long it stays, and None for every other block.

    Delays of less than 0.02 s, and those of frames that have none, become 0.1 s.
    """
    position, timed = _GIF_HEADER_BYTES + _palette(data[10]), False
    while position + 10 < len(data) and data[position] in (_EXTENSION, _IMAGE):
        if data[position] == _IMAGE:
            yield None if timed else (position, 0, b"\x21\xf9\x04\x00" + _DEFAULT_DELAY + b"\x00\x00")
            position, timed = position + 11 + _palette(data[position + 9]), False
        else:
            control = data[position + 1] == _CONTROL
            short = control and int.from_bytes(data[position + 4 : position + 6], "little") < _MIN_DELAY
            yield (position + 4, len(_DEFAULT_DELAY), _DEFAULT_DELAY) if short else None
            position, timed = position + 2, timed or control
        while position < len(data) and (length := data[position]):
            yield None
            position += 1 + length
        position += 1


def _palette(flags: int) -> int:
    """Return the length of the palette that these flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _says_time(head: bytes, position: int) -> bool:
    kind = head[position + 1 : position + 2]
    if kind == bytes([_CONTROL]):
        return head[position + 4 : position + 6] not in (b"", b"\x00\x00")
    return kind == bytes([_APPLICATION]) and head[position + 3 : position + 14] in _LOOPS


def _behind_blocks(head: bytes, position: int) -> int | None:
    """Return the position behind a row of blocks, or None: it ends beyond the bytes that are there."""
    for _ in range(_MAX_BLOCKS):
        if position >= len(head):
            return None
        length = head[position]
        position += 1 + length
        if not length:
            return position
    return None


def is_motion_jpeg(head: bytes) -> bool:
    """Follow three JPEG images of one size, each where the one before it ends, none of them from a camera."""
    position, sizes = 0, set[bytes]()
    for _ in range(_JPEGS_IN_A_ROW):
        found = _jpeg(head, position)
        if found is None:
            return False
        position, size = found
        sizes.add(size)
    return len(sizes) == 1


def _jpeg(head: bytes, position: int) -> tuple[int, bytes] | None:
    """Return where a JPEG image ends, and its height and width; None: there is none, or not all of it."""
    if head[position : position + 3] != b"\xff\xd8\xff":
        return None
    position, size = position + 2, b""
    for _ in range(_MAX_CHUNKS):
        if head[position : position + 1] != b"\xff" or position + 4 > len(head):
            return (position + 2, size) if head[position : position + 2] == b"\xff\xd9" and size else None
        kind, length = head[position + 1], int.from_bytes(head[position + 2 : position + 4], "big")
        if kind == _END:
            return (position + 2, size) if size else None
        if kind == _START or head.startswith(_OF_CAMERAS, position + 4):
            return None
        if kind in _FRAME_HEADERS:
            size = head[position + 5 : position + 9]
        position += 2 + length
        if kind == _SCAN:
            following = _MARKER.search(head, position)
            if following is None:
                return None
            position = following.start()
    return None
