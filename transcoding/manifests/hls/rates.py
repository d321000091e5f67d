"""Measured rates of playlists, as HLS defines them (RFC 8216, section 4.1)."""

from collections.abc import Sequence


def peak_rate(sizes: Sequence[int], ticks: Sequence[int], *, timescale: int, target_seconds: int) -> int:
    """Return the peak rate in bits per second of segments with these sizes in bytes and lengths in ticks.

    It is the highest rate of any stretch of segments that lasts between half and one and a half target durations; of
    all of them where no stretch is as long.
    """
    shortest, longest = target_seconds * timescale / 2, 3 * target_seconds * timescale / 2
    peak = 0
    for first in range(len(ticks)):
        length = size = 0
        for segment in range(first, len(ticks)):
            length += ticks[segment]
            size += sizes[segment]
            if length > longest:
                break
            if length >= shortest:
                peak = max(peak, _rate(size, length, timescale))
    return peak or average_rate(sizes, ticks, timescale=timescale)


def average_rate(sizes: Sequence[int], ticks: Sequence[int], *, timescale: int) -> int:
    """Return the rate in bits per second of all of these segments together."""
    return _rate(sum(sizes), sum(ticks), timescale)


def _rate(size: int, ticks: int, timescale: int) -> int:
    return size * 8 * timescale // max(1, ticks)
