"""Decide when a video that is being encoded is playable: at its speed so far, a player that starts now never waits."""

from collections.abc import Iterable
from dataclasses import dataclass

MARGIN = 1.25
"""Speed, as a multiple of real time, above which the first segment suffices.

HLS players look for new segments once per target duration, which is the length of a segment. The second segment is
published by then with a fifth of that time to spare, and the lead grows from there on.
"""
MIN_SEGMENTS = 1
MAX_SEGMENTS = 2
"""Segments that are required of a slower rendition: one to show, and one to fetch meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """The published beginning of a rendition."""

    segments: int
    """Published segments from the first one on, without a gap."""
    total: int | None
    """Segments of the whole rendition; None while its source has not ended."""
    speed: float | None
    """Seconds of media that were published first, per second from the claim of their step; None if it is not known."""


def is_playable(beginnings: Iterable[Beginning]) -> bool:
    """Check whether the beginnings of all renditions suffice."""
    return all(
        beginning.segments >= min(segments_required(beginning.speed), beginning.total or MAX_SEGMENTS)
        for beginning in beginnings
    )


def segments_required(speed: float | None) -> int:
    """Return the number of segments that must be published of a rendition that is made at this speed."""
    return MIN_SEGMENTS if speed is not None and speed >= MARGIN else MAX_SEGMENTS
