"""The boxes in a video sample entry of MP4 and QuickTime, and the configuration of Dolby Vision in one of them.

What is read is bounded: headers of boxes, and a few numbers.
"""

from collections.abc import Iterator
from typing import IO

from transcoding.containers.spans import Span
from transcoding.hdr import DolbyVision

_MAX_BOXES = 10_000
_ENTRY_FIELDS = 78
"""Bytes of a video sample entry before the boxes in it."""
_MOOV_PATH = ("mdia", "minf", "stbl", "stsd")
_DOLBY_BOXES = frozenset({"dvcC", "dvvC"})
_DOLBY_BYTES = 5
"""Two of the version, then 7 bits of the profile, 9 of what else there is, and 4 of the compatibility."""


def entry_boxes(file: IO[bytes], size: int, *, track: int) -> Iterator[tuple[str, Span]]:
    """Yield the boxes in the first sample entry of a track, by its position, that describes video."""
    moov = next((span for kind, span in _boxes(file, (0, size)) if kind == "moov"), None)
    tracks = [span for kind, span in _boxes(file, moov) if kind == "trak"] if moov else []
    at: Span | None = tracks[track] if track < len(tracks) else None
    for name in _MOOV_PATH:
        at = next((span for kind, span in _boxes(file, at) if kind == name), None) if at else None
    entry = next((span for _, span in _boxes(file, (at[0] + 8, at[1]))), None) if at else None
    if entry:
        yield from _boxes(file, (entry[0] + _ENTRY_FIELDS, entry[1]))


def dolby_vision_in_mp4(file: IO[bytes], size: int, *, track: int) -> DolbyVision | None:
    """Read the configuration record of Dolby Vision of a track, by its position."""
    found = next((span for kind, span in entry_boxes(file, size, track=track) if kind in _DOLBY_BOXES), None)
    record = read_at(file, found[0], _DOLBY_BYTES) if found else b""
    return DolbyVision(profile=record[2] >> 1, compatibility=record[4] >> 4) if len(record) == _DOLBY_BYTES else None


def _boxes(file: IO[bytes], span: Span) -> Iterator[tuple[str, Span]]:
    """Yield the types and payloads of the boxes in a span, as far as they are whole."""
    position, end = span
    for _ in range(_MAX_BOXES):
        head = read_at(file, position, 16)
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


def read_at(file: IO[bytes], position: int, length: int) -> bytes:
    """Return so many bytes of a file, or as many as there are."""
    file.seek(position)
    return file.read(length)
