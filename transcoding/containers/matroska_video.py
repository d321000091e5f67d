"""Numbers of Matroska about the frames of its video tracks, read beside ffmpeg: the crop, and the shape on the screen.

What is read is bounded: headers of elements, and a few numbers.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from typing import IO

from transcoding.containers.spans import Span
from transcoding.probing.streams import Crop

_MAX_ELEMENTS = 10_000
_MAX_TRACKS = 100
_SEGMENT, _TRACKS, _TRACK_ENTRY, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_CROPS = {0x54CC: "left", 0x54BB: "top", 0x54DD: "right", 0x54AA: "bottom"}
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
_UNKNOWN_UNIT = 4
_MAX_NUMBER_BYTES = 8


def crop_in_matroska(file: IO[bytes], size: int, *, track: int) -> tuple[Crop, Fraction | None]:
    """Read the crop of a track, by its position, and the shape on the screen of what is left, where it is there."""
    videos = _videos(file, size)
    video = videos[track] if track < len(videos) else None
    numbers = {
        kind: int.from_bytes(_read(file, start, end - start), "big")
        for kind, (start, end) in (_elements(file, video) if video else ())
        if end - start <= _MAX_NUMBER_BYTES
    }
    width, height = numbers.get(_DISPLAY_WIDTH, 0), numbers.get(_DISPLAY_HEIGHT, 0)
    crop = Crop(**{side: numbers.get(kind, 0) for kind, side in _CROPS.items()})
    return crop, Fraction(width, height) if width and height else None


def forget_shapes(file: IO[bytes], size: int) -> None:
    """Have a file of ours leave the shape of frames to the frames, which may change it.

    ffmpeg takes pixels for square where Matroska does not say how large a frame is on the screen, but for its own where
    the unit of that size is unknown.
    """
    for video in filter(None, _videos(file, size)):
        for kind, (start, end) in list(_elements(file, video)):
            if kind == _DISPLAY_UNIT:
                file.seek(start)
                file.write(_UNKNOWN_UNIT.to_bytes(end - start, "big"))


def _videos(file: IO[bytes], size: int) -> list[Span | None]:
    """Return where each track describes its video; None for those that are none."""
    segment = next((span for kind, span in _elements(file, (0, size)) if kind == _SEGMENT), None)
    tracks = next((span for kind, span in _elements(file, segment) if kind == _TRACKS), None) if segment else None
    found = (span for kind, span in _elements(file, tracks) if kind == _TRACK_ENTRY) if tracks else iter(())
    entries = islice(found, _MAX_TRACKS)
    return [next((span for kind, span in _elements(file, entry) if kind == _VIDEO), None) for entry in entries]


def _elements(file: IO[bytes], span: Span) -> Iterator[tuple[int, Span]]:
    """Yield the ids and payloads of the EBML elements in a span; one of unknown length lasts to its end."""
    position, end = span
    for _ in range(_MAX_ELEMENTS):
        head = _read(file, position, 12)
        kind, used = _vint(head, keep_marker=True)
        length, more = _vint(head[used:], keep_marker=False)
        if not used or not more or position + used + more > end:
            return
        start = position + used + more
        unknown = length == (1 << 7 * more) - 1
        following = end if unknown else min(start + length, end)
        yield kind, (start, following)
        position = following


def _vint(data: bytes, *, keep_marker: bool) -> tuple[int, int]:
    """Return a number of variable length, and its length in bytes; 0 bytes: there is none."""
    if not data or not data[0]:
        return 0, 0
    length = 9 - data[0].bit_length()
    if len(data) < length:
        return 0, 0
    number = int.from_bytes(data[:length], "big")
    return (number if keep_marker else number & ((1 << 7 * length) - 1)), length


def _read(file: IO[bytes], position: int, length: int) -> bytes:
    file.seek(position)
    return file.read(length)
