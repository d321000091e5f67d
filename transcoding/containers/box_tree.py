"""A walk over the boxes of a file (ISO/IEC 14496-12) that reads their headers only, whatever they say of themselves."""

from collections.abc import Callable, Iterable, Iterator
from typing import IO, TypeVar

from transcoding.containers.boxes import HEADER_BYTES, box_header
from transcoding.containers.spans import Span

Item = TypeVar("Item")
Check = Callable[[], None]
"""Called again and again during a walk, which it ends by raising an exception."""

_CHECKED_ITEMS = 64
_MAX_DEPTH = 8
_CONTAINERS = frozenset(
    {"moov", "trak", "mdia", "minf", "stbl", "edts", "dinf", "mvex", "moof", "traf", "tref", "udta", "sinf", "schi"}
)
"""Boxes that ffmpeg's demuxer looks for others in, wherever they are."""


def tree(file: IO[bytes], payload: Span, depth: int = 0) -> Iterator[tuple[str, Span]]:
    """Yield the boxes in a box, and those in the containers among them, in the order of the file."""
    for kind, start, end in boxes(file, *payload):
        yield kind, (start, end)
        if kind in _CONTAINERS and depth < _MAX_DEPTH:
            yield from tree(file, (start, end), depth + 1)


def boxes(file: IO[bytes], position: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Yield type, start of the payload and end of each box; one that goes on behind `end` is cut there."""
    while end - position >= HEADER_BYTES:
        file.seek(position)
        size, kind, header = box_header(memoryview(file.read(2 * HEADER_BYTES)))
        box_end = min(position + size, end) if size else end
        if size and size < header:
            return
        yield kind, position + header, max(box_end, position + header)
        position = box_end


def unchecked() -> None:
    """Let a walk go on: it is short."""


def checked(items: Iterable[Item], check: Check) -> Iterator[Item]:
    """Pass on what a walk finds, and check now and then."""
    for number, item in enumerate(items):
        if not number % _CHECKED_ITEMS:
            check()
        yield item
