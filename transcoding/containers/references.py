"""Media that an MP4 or QuickTime file has not itself: data references can name other files (ISO/IEC 14496-12, 8.7.2).

ffmpeg does not open them (`enable_drefs` is off), and would read the samples from the file itself, whatever is there.
"""

import struct
from dataclasses import dataclass, field
from itertools import islice
from typing import IO

from transcoding.containers.box_tree import Check, boxes, checked, tree, unchecked
from transcoding.containers.boxes import HEADER_BYTES, MalformedBoxes
from transcoding.containers.spans import Span
from transcoding.errors import InputRejected

_MAX_TOP_BOXES = 1000
_MAX_BOXES = 20_000
_MAX_TABLE_BYTES = 1 << 16
_MEDIA = frozenset({b"vide", b"soun", b"pict"})
_SELF_CONTAINED = 1
_ENTRY_BYTES = 12
_ELSEWHERE = (
    "the file only refers to its video or audio, which is in other files; save it as a self-contained file and upload"
    " that"
)


@dataclass(slots=True)
class _Track:
    """The references of one track: the entries that lie elsewhere, and those that its samples use, from 1."""

    handler: bytes = b""
    elsewhere: set[int] = field(default_factory=set)
    used: set[int] = field(default_factory=set)

    def refuse(self) -> None:
        if self.handler in _MEDIA and self.elsewhere & self.used:
            raise InputRejected(_ELSEWHERE)


def refuse_references(file: IO[bytes], size: int, *, check: Check = unchecked) -> None:
    """Raise InputRejected for video or audio that lies in another file. A file of another family passes.

    `check` is called again and again, and may raise.
    """
    try:
        for kind, start, end in checked(islice(boxes(file, 0, size), _MAX_TOP_BOXES), check):
            if kind == "moov":
                _look_into(file, (start, end), check)
    except (MalformedBoxes, struct.error):
        return  # ffmpeg says best what is wrong


def _look_into(file: IO[bytes], moov: Span, check: Check) -> None:
    track = _Track()
    for kind, payload in islice(tree(file, moov), _MAX_BOXES):
        check()  # a table takes some milliseconds
        if kind == "rmra":
            raise InputRejected(_ELSEWHERE)
        if kind == "trak":
            track.refuse()
            track = _Track()
        elif kind == "hdlr":
            track.handler = track.handler if track.handler in _MEDIA else _bytes_of(file, payload)[8:12]
        elif kind == "dref":
            track.elsewhere = _elsewhere(_bytes_of(file, payload)[8:])
        elif kind == "stsd":
            track.used = _used(_bytes_of(file, payload)[8:])
    track.refuse()


def _bytes_of(file: IO[bytes], payload: Span) -> bytes:
    start, end = payload
    file.seek(start)
    return file.read(min(end - start, _MAX_TABLE_BYTES))


def _elsewhere(entries: bytes) -> set[int]:
    """Return the numbers of the entries that name a place outside the file."""
    found = set()
    for number, entry in enumerate(_entries(entries), start=1):
        contained = entry[HEADER_BYTES + 3] & _SELF_CONTAINED
        if not contained and entry[_ENTRY_BYTES:].strip(b"\x00"):
            found.add(number)
    return found


def _used(entries: bytes) -> set[int]:
    return {struct.unpack_from(">H", entry, 14)[0] for entry in _entries(entries) if len(entry) > _ENTRY_BYTES + 3}


def _entries(table: bytes) -> list[bytes]:
    found, position = [], 0
    while len(table) - position >= _ENTRY_BYTES:
        size = int.from_bytes(table[position : position + 4], "big")
        if size < _ENTRY_BYTES:
            break
        found.append(table[position : position + size])
        position += size
    return found
