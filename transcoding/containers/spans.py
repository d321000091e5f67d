"""Ranges of bytes of a file: joined, compared, and counted."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

from transcoding.probing.timing import Packet

Span = tuple[int, int]
"""A range of bytes: the first, and one past the last."""

MERGED_GAP_BYTES = 4096
"""Gaps up to this are fetched along: the headers of another request and its answer are not much shorter."""
MAX_SPANS = 4096
"""Requests of one step: about four seconds of them, 16 at a time, from a store at a distance of 15 ms."""


def union(spans: Iterable[Span]) -> list[Span]:
    """Return the same bytes as spans that neither overlap nor touch, in order."""
    return _join(sorted(spans), 0)


def missing(requested: Iterable[Span], there: Sequence[Span]) -> list[Span]:
    """Return the parts of these spans that are not in those that `union` returned."""
    starts = [start for start, _ in there]
    found: list[Span] = []
    for start, end in union(requested):
        position = start
        for held_start, held_end in there[max(0, bisect_right(starts, start) - 1) :]:
            if held_start >= end:
                break
            if held_start > position:
                found.append((position, held_start))
            position = max(position, held_end)
        if position < end:
            found.append((position, end))
    return found


def merge(spans: Iterable[Span], *, gap: int = MERGED_GAP_BYTES, max_spans: int = MAX_SPANS) -> list[Span]:
    """Join spans that overlap or lie close to each other, and if there are too many, the closest ones of them."""
    joined = _join(sorted(spans), gap)
    if len(joined) > max_spans:
        gaps = sorted(later[0] - earlier[1] for earlier, later in pairwise(joined))
        joined = _join(joined, gaps[len(joined) - max_spans - 1])
    return joined


def bridged(spans: Iterable[Span], spare: int) -> list[Span]:
    """Join merged spans over the gaps between them, from the first one on, as long as `spare` bytes last."""
    joined: list[Span] = []
    for start, end in spans:
        gap = start - joined[-1][1] if joined else 0
        if joined and gap <= spare:
            spare -= gap
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def covers(spans: Sequence[Span], packets: Iterable[Packet]) -> bool:
    """Tell whether every packet lies in these merged spans."""
    starts = [start for start, _ in spans]
    found = ((packet, bisect_right(starts, packet.position) - 1) for packet in packets)
    return all(index >= 0 and packet.position + packet.size <= spans[index][1] for packet, index in found)


def total(spans: Iterable[Span]) -> int:
    """Return the number of bytes in merged spans."""
    return sum(end - start for start, end in spans)


def first_bytes(spans: Iterable[Span], requested: int) -> list[Span]:
    """Return the first bytes of these spans, in their order."""
    found: list[Span] = []
    for start, end in spans:
        if requested <= 0:
            break
        found.append((start, min(end, start + requested)))
        requested -= end - start
    return found


def _join(spans: Iterable[Span], gap: int) -> list[Span]:
    joined: list[Span] = []
    for start, end in spans:
        if joined and start <= joined[-1][1] + gap:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined
