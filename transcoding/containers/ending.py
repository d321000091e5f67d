"""The end of a file, as its own structure announces it: a broken-off upload or recording is shorter than that.

Read by ourselves: ffmpeg plays what is there and says nothing. Only containers that announce bytes are looked at.
"""

import struct
from collections.abc import Callable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import IO

from transcoding.containers.boxes import HEADER_BYTES, MalformedBoxes, box_header

_MEDIA_BOXES = frozenset({"mdat", "moof"})
_MAX_BOXES = 100_000
"""Boxes of the file that are looked at: fragments of a second of 13 hours, two boxes each."""
_MAX_CHUNKS = 1000
_MAX_OBJECTS = 200
_SEGMENT = 0x18538067
"""Matroska's element for everything but the header (RFC 9559)."""
_ASF_HEADER_BYTES = 30
_ASF_OBJECT_BYTES = 24
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_BROADCAST = 1
_LONGEST_NUMBER = 8
_UNKNOWN_RIFF_BYTES = frozenset({0, 0xFFFFFFFF})


def announced_bytes(file: IO[bytes], size: int, family: str) -> int | None:
    """Return the size that a file of this container family announces, of its media at least; None: it does not say.

    It is never less than what is there. Of a sparse copy, every box but the media must be there.
    """
    reader = _READERS.get(family)
    if reader is None:
        return None
    try:
        announced = reader(file, size)
    except (MalformedBoxes, struct.error):
        return None  # ffmpeg says best what is wrong
    return None if announced is None else max(announced, size)


def _mov(file: IO[bytes], size: int) -> int | None:
    """The end of the last box, if it is one with media: others may be cut off without a loss."""
    start = 0
    for _ in range(_MAX_BOXES):
        if start >= size:
            return start
        file.seek(start)
        length, kind, header = box_header(memoryview(file.read(2 * HEADER_BYTES)))
        if length == 0:
            return size
        if length < header:
            return None
        if start + length > size:
            return start + length if kind in _MEDIA_BOXES else size
        start += length
    return None


def _matroska(file: IO[bytes], _size: int) -> int | None:
    """The end of the segment; a live recording has one of unknown size."""
    file.seek(0)
    head = file.read(4096)
    _, at = _number(head, 0, keep_marker=True)
    length, at = _number(head, at)
    kind, at = _number(head, at + length, keep_marker=True)
    length, start = _number(head, at)
    unknown = length == (1 << 7 * (start - at)) - 1
    return None if kind != _SEGMENT or unknown else start + length


def _number(data: bytes, at: int, *, keep_marker: bool = False) -> tuple[int, int]:
    """Read a number of EBML (RFC 8794): the first bit that is set says how many bytes it has. Returns it and its end.

    Raises MalformedBoxes where there is none.
    """
    length = _LONGEST_NUMBER + 1 - data[at].bit_length() if at < len(data) else _LONGEST_NUMBER + 1
    if length > _LONGEST_NUMBER or at + length > len(data):
        raise MalformedBoxes("no number of EBML")
    value = int.from_bytes(data[at : at + length], "big")
    return value if keep_marker else value & ((1 << 7 * length) - 1), at + length


def _avi(file: IO[bytes], size: int) -> int | None:
    """The end of the last RIFF chunk: files beyond a gigabyte have several."""
    start = 0
    for _ in range(_MAX_CHUNKS):
        file.seek(start)
        kind, length = file.read(4), int(struct.unpack("<I", file.read(4))[0])
        if kind != b"RIFF" or length in _UNKNOWN_RIFF_BYTES:
            return start or None
        start += 8 + length + length % 2
        if start + 8 > size:
            return start - length % 2
    return None


def _asf(file: IO[bytes], size: int) -> int | None:
    """The size in the file properties; a broadcast has none."""
    file.seek(0)
    objects = struct.unpack_from("<I", file.read(_ASF_HEADER_BYTES), 24)[0]
    at = _ASF_HEADER_BYTES
    for _ in islice(range(objects), _MAX_OBJECTS):
        file.seek(at)
        head = file.read(_ASF_OBJECT_BYTES + 68)
        length = struct.unpack_from("<Q", head, 16)[0]
        if head.startswith(_ASF_FILE_PROPERTIES):
            announced, flags = struct.unpack_from("<Q", head, 40)[0], struct.unpack_from("<I", head, 88)[0]
            return None if flags & _ASF_BROADCAST else int(announced)
        at += max(length, _ASF_OBJECT_BYTES)
        if at > size:
            return None
    return None


_READERS: Mapping[str, Callable[[IO[bytes], int], int | None]] = MappingProxyType(
    {"mov": _mov, "matroska": _matroska, "avi": _avi, "asf": _asf}
)
