"""The timing of a source's frames, from its packets as ffprobe lists them."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from typing import NamedTuple

from transcoding.errors import NO_FRAME, InputRejected
from transcoding.grid import ascending, constant_rate, is_steady, usual_gap, varying_rate

_MAX_COPIES = 50
"""Frames on the grid for each coded frame, beyond which a longer video is refused."""
_RATE_SLACK = Fraction(11, 10)
"""Share of the maximum frame rate that is accepted: cameras of 240 frames per second are a little faster, too."""
_FRAMES_NEVER_INFLATED = 100_000
"""Videos of up to so many frames are never refused for that: half an hour of 60 frames per second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTiming:
    """The timing of a video track, and of its frames on the grid."""

    first: Fraction
    """Time of the first frame on the source's clock, in seconds."""
    rate: Fraction
    constant: bool
    """Every frame has a place of its own on the grid of that rate."""
    steady: bool
    """Frames come evenly, at that rate or another one."""
    total_frames: int
    """Frames on the grid of that rate."""


class Packet(NamedTuple):
    """One coded frame. Times are ticks of the stream's time base."""

    pts: int
    duration: int
    key: bool
    discard: bool
    """An edit list hides it."""
    size: int = 0
    """Bytes."""
    position: int = -1
    """Offset in the file in bytes, -1 where ffprobe does not say."""


def parse_packets(lines: Iterable[str]) -> Iterator[Packet]:
    """Read `ffprobe -show_entries packet=pts,duration,size,pos,flags -of csv=p=0`.

    Packets without a time are left out.
    """
    for line in lines:
        fields = line.split(",", 5)
        try:  # nearly all lines are complete, and films have millions
            pts, duration, size, position, flags, *_ = fields
            yield Packet(int(pts), int(duration), flags[:1] == "K", "D" in flags, int(size), int(position))
        except ValueError:
            if len(fields) >= 5 and fields[0].lstrip("-").isdigit():  # noqa: PLR2004 - the five entries
                yield _incomplete(fields)


def _incomplete(fields: Sequence[str]) -> Packet:
    """Read a packet of which only the time is sure to be there."""
    pts, duration, size, position, flags, *_ = fields
    return Packet(
        int(pts),
        int(duration) if duration.isdigit() else 0,
        key=flags.startswith("K"),
        discard="D" in flags,
        size=int(size) if size.isdigit() else 0,
        position=int(position) if position.isdigit() else -1,
    )


def first_lines(number: int, lines: Iterable[str]) -> Iterator[str]:
    """Pass on lines, one for each packet. Raises InputRejected when there are more than this."""
    remaining = iter(lines)
    yield from islice(remaining, number)
    if next(remaining, None) is not None:
        raise InputRejected(f"a track has more than {number} packets; export it at a usual frame rate")


def measure_timing(  # noqa: PLR0913 - all that decides about a rate, by name
    packets: Iterable[Packet],
    time_base: Fraction,
    *,
    stated: Fraction | None = None,
    max_rate: int | None = None,
    least: Fraction | None = None,
    exact: bool = False,
) -> FrameTiming:
    """Find the first shown frame, the rate and the number of frames on that rate's grid.

    Times of containers are rounded, and cameras jitter: where that hides which of two rates it is, the header's
    (`stated`) counts. A varying rate is not below `least`: the fastest part of a video that joins others may be a short
    one. `exact` times are none of this, such as those of an animated image: there a frame that stays
    longer is meant to, the last one too.

    Frames before the first key frame cannot be decoded and don't count; a key frame that an edit list hides still
    makes those behind it decodable.

    Raises:
        InputRejected: No frame can be decoded, a few of them would fill hours, or there are more than `max_rate` frames
            per second.

    """
    first_key, times, lengths = None, array("q"), array("q")  # not lists of values: films have millions of frames
    for pts, duration, key, discard, _, _ in packets:
        if key and first_key is None:
            first_key = pts
        if not discard:
            times.append(pts)
            lengths.append(duration)
    shown = ascending(time for time in times if first_key is not None and time >= first_key)
    if not shown:
        raise InputRejected(NO_FRAME)
    if max_rate is not None:
        _refuse_faster(len(shown), (shown[-1] - shown[0]) * time_base, max_rate)
    first = shown[0] * time_base
    rate, differently = constant_rate(shown, time_base, stated=stated), exact and _stay_differently(shown, lengths)
    if rate is not None and not differently:
        return FrameTiming(first=first, rate=rate, constant=True, steady=True, total_frames=len(shown))
    # ffprobe does not know how long the last frame of a varying MP4 with B-frames stays: as long as most, then.
    gap = usual_gap(shown)
    end = max(time + (length or gap) for time, length in zip(times, lengths, strict=True) if time >= shown[0])
    rate = max(varying_rate(shown, time_base), least or Fraction(0))
    total_frames = max(1, round((end * time_base - first) * rate))
    _refuse_inflated(len(shown), total_frames)
    steady = not differently and is_steady(shown)
    return FrameTiming(first=first, rate=rate, constant=False, steady=steady, total_frames=total_frames)


def _stay_differently(shown: Sequence[int], lengths: Sequence[int]) -> bool:
    gaps = {later - earlier for earlier, later in pairwise(shown)}
    return len(gaps | {lengths[-1]}) > 1


def _refuse_faster(frames: int, seconds: Fraction, max_rate: int) -> None:
    """Refuse a rate that no camera has, of which most frames would be decoded only to be dropped.

    Less than a second of frames is too short to have a rate.
    """
    allowed = max_rate * _RATE_SLACK
    if frames > allowed and frames - 1 > seconds * allowed:
        rate = f"{float((frames - 1) / seconds):.0f} frames per second" if seconds else f"{frames} frames at one time"
        raise InputRejected(
            f"the video has {rate}; {max_rate} frames per second are allowed: export it at a lower rate"
        )


def _refuse_inflated(coded: int, total: int) -> None:
    """Refuse a few frames that stand for hours on a fine grid: a kilobyte that would be half a day of encoding.

    Slides and screen recordings, whose frames stand long as well, stay below: even at one frame per 10 s, on the
    coarsest grid, it takes more than five hours to get there.
    """
    if total > max(_FRAMES_NEVER_INFLATED, coded * _MAX_COPIES):
        raise InputRejected(f"the video has {coded} frames, but would become {total}; export it at a usual frame rate")
