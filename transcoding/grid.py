"""The frame grid: one constant rate, on which every boundary of every output is a whole number of ticks."""

import heapq
import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice, pairwise
from operator import le
from typing import Self

GOP_SECONDS = 2
SEGMENT_GOPS = 2
"""GOPs of a segment where latency does not matter; a live stream has one."""

STANDARD_RATES = tuple(
    Fraction(numerator, denominator)
    for numerator, denominator in (
        (60, 1),
        (60000, 1001),
        (50, 1),
        (48, 1),
        (30, 1),
        (30000, 1001),
        (25, 1),
        (24, 1),
        (24000, 1001),
        (20, 1),
        (15, 1),
        (15000, 1001),
        (25, 2),
        (12, 1),
        (10, 1),
        (8, 1),
        (6, 1),
        (5, 1),
    )
)
"""Frames per second that outputs can have, highest first."""

_JOINED_TAIL = 10
"""A tail of up to a tenth of a segment belongs to the segment before it: players that look past the edit list, such as
hls.js, put one or two frames behind the end of the buffer and never end. Rounded, such a segment is no longer."""
_NTSC_DENOMINATOR = 1001
_SLOT_TOLERANCE = Fraction(2, 5)
"""Distance from its slot, in frames, at which a constant-rate frame may lie: containers round to 1 ms or 1/90000 s."""
_NEAR = Fraction(1, 50)
_STATED = Fraction(1, 10_000)
"""Share by which a stated rate may differ from a standard one: 24 and 23.976 are ten times as far apart."""
_RATE_OF_ONE_FRAME = Fraction(25)
_SORTED_BLOCK = 1 << 16


class OpenGrid(ValueError):
    """The end of a video was needed that has not ended yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameGrid:
    """Rate and length of the output, and where its GOPs, segments and ticks lie.

    The grid is open while the source has not ended. Properties that need the end raise OpenGrid then.
    """

    rate: Fraction
    total_frames: int | None
    """None: open."""
    segment_gops: int = SEGMENT_GOPS
    """GOPs in every segment but the last."""

    def __post_init__(self) -> None:
        if self.rate not in STANDARD_RATES:
            raise ValueError(f"{self.rate} is not a standard frame rate")
        if self.total_frames is not None and self.total_frames < 1:
            raise ValueError("a video has at least one frame")
        if self.segment_gops < 1:
            raise ValueError("a segment has at least one GOP")

    @property
    def is_open(self) -> bool:
        """Tell whether the source has not ended yet."""
        return self.total_frames is None

    @property
    def frame_count(self) -> int:
        """Number of frames of the whole video."""
        if self.total_frames is None:
            raise OpenGrid("the video has not ended")
        return self.total_frames

    @property
    def gop_frames(self) -> int:
        """Distance of key frames, in frames."""
        return math.ceil(GOP_SECONDS * self.rate)

    @property
    def segment_frames(self) -> int:
        """Length of every segment but the last, in frames."""
        return self.segment_gops * self.gop_frames

    @property
    def segment_seconds(self) -> Fraction:
        """Length of every segment but the last, in seconds."""
        return self.segment_frames / self.rate

    @property
    def peak_frames(self) -> int:
        """Length of the segments that count for the peak rate, in frames: a shorter last one does not, unless alone."""
        return self.segment_frames if self.total_frames is None else min(self.segment_frames, self.total_frames)

    @property
    def timescale(self) -> int:
        """Ticks per second of the video tracks."""
        return self.rate.numerator if self.rate.denominator == _NTSC_DENOMINATOR else int(self.rate * 1000)

    @property
    def frame_ticks(self) -> int:
        """Length of one frame, in ticks."""
        return int(self.timescale / self.rate)

    @property
    def total_segments(self) -> int:
        """Segments of every rendition; the last may be shorter than the others, or a little longer."""
        joined = self.segment_frames // _JOINED_TAIL
        return max(1, -((joined - self.frame_count) // self.segment_frames))

    @property
    def duration(self) -> Fraction:
        """Length of the video, in seconds."""
        return self.frame_count / self.rate

    def stands_alone(self, frames: int) -> bool:
        """Tell whether so many frames behind whole segments are one of their own, or belong to the one before."""
        return frames > self.segment_frames // _JOINED_TAIL

    def first_frame(self, segment: int) -> int:
        """Return the number of the first frame of a segment; of `total_segments`, the end of the video."""
        whole = self.is_open or segment < self.total_segments
        return segment * self.segment_frames if whole else self.frame_count

    def gop_length(self, frame: int) -> int:
        """Return how many frames the GOP has that begins with this frame."""
        return self.gop_frames if self.total_frames is None else min(self.gop_frames, self.total_frames - frame)

    def frames_in(self, first_segment: int, segments: int = 1) -> int:
        """Return the number of frames of these segments."""
        return self.first_frame(first_segment + segments) - self.first_frame(first_segment)

    def start(self, segment: int) -> Fraction:
        """Return the start of a segment, in seconds."""
        return self.first_frame(segment) / self.rate

    def longer(self, frames: int) -> Self:
        """Return the grid of a video that has so many frames more; an open one stays open."""
        return self if self.total_frames is None else replace(self, total_frames=self.total_frames + frames)

    def lasting(self, frames: int) -> Self:
        """Return the grid of a video that has so many frames."""
        return replace(self, total_frames=frames)


def snap_rate(rate: Fraction) -> Fraction:
    """The standard rate for a measured one: the near one, else the next higher, so that no frame is lost (up to 60)."""
    if rate > STANDARD_RATES[0] * (1 + _NEAR):
        rate /= math.ceil(rate / STANDARD_RATES[0] - _NEAR)
    nearest = min(STANDARD_RATES, key=lambda standard: abs(standard - rate))
    if abs(nearest - rate) <= rate * _NEAR:
        return nearest
    return min((standard for standard in STANDARD_RATES if standard >= rate), default=STANDARD_RATES[0])


def ascending(numbers: Iterable[int]) -> "array[int]":
    """Sort numbers of 64 bits in little more memory than they take: a list of them would take five times that.

    Frames are decoded in nearly the order of their times, so sorting overlapping blocks is mostly enough.
    """
    found = array("q", numbers)
    for start in range(0, len(found), _SORTED_BLOCK // 2):
        found[start : start + _SORTED_BLOCK] = array("q", sorted(found[start : start + _SORTED_BLOCK]))
    if all(map(le, found, islice(found, 1, None))):
        return found
    blocks = [_sorted_block(found[start : start + _SORTED_BLOCK]) for start in range(0, len(found), _SORTED_BLOCK)]
    return array("q", heapq.merge(*blocks))


def _sorted_block(block: "array[int]") -> "array[int]":
    return array("q", sorted(block))


def constant_rate(ticks: Sequence[int], time_base: Fraction, *, stated: Fraction | None = None) -> Fraction | None:
    """The standard rate on whose grid every one of these ascending presentation times has a slot of its own.

    Times are in units of `time_base` seconds. Of rates between which the rounding of times does not tell, it is the one
    that the source has `stated`. None: the source's rate varies, or is none of the standard ones.
    """
    if len(ticks) < 2 or ticks[-1] <= ticks[0]:  # noqa: PLR2004 - one frame has no rate
        return None
    gaps, span = len(ticks) - 1, (ticks[-1] - ticks[0]) * time_base
    candidates = sorted(STANDARD_RATES, key=lambda rate: abs(rate - gaps / span))[:2]
    if stated:
        candidates.sort(key=lambda rate: abs(rate - stated) > rate * _STATED or abs(gaps / rate - span) > time_base)
    return next((rate for rate in candidates if _every_slot_taken(ticks, time_base * rate)), None)


def is_steady(ticks: Sequence[int]) -> bool:
    """Tell whether these ascending presentation times lie in an even row, whatever its rate is; a single one does."""
    gaps, span = len(ticks) - 1, ticks[-1] - ticks[0]
    if not gaps:
        return True
    allowed = _SLOT_TOLERANCE * span
    return span > 0 and all(abs((tick - ticks[0]) * gaps - slot * span) <= allowed for slot, tick in enumerate(ticks))


def _every_slot_taken(ticks: Sequence[int], frames_per_tick: Fraction) -> bool:
    """Test that frame n lies within the tolerance of slot n; in whole numbers, as films have half a million frames."""
    numerator, denominator = frames_per_tick.as_integer_ratio()
    allowed = int(_SLOT_TOLERANCE * denominator)
    first = ticks[0]
    return all(abs((tick - first) * numerator - slot * denominator) <= allowed for slot, tick in enumerate(ticks))


def usual_gap(ticks: Sequence[int]) -> int:
    """The median distance of these ascending presentation times, in their own unit; 0 when there is only one."""
    gaps = ascending(later - earlier for earlier, later in pairwise(ticks) if later > earlier)
    return gaps[len(gaps) // 2] if gaps else 0


def varying_rate(ticks: Sequence[int], time_base: Fraction) -> Fraction:
    """A standard rate for frames without a constant one, near the usual distance between two of them.

    Of rates as near as 29.97 and 30 it is the one on whose grid the frames lie, if there is one, else one that has a
    slot for every frame: a clip that only misses some frames of a constant rate then loses none of the others.
    """
    gap = usual_gap(ticks) * time_base
    if not gap:
        return _RATE_OF_ONE_FRAME
    near = snap_rate(1 / gap)
    alike = [rate for rate in STANDARD_RATES if abs(rate - near) <= near * _NEAR]
    alike.sort(key=lambda rate: abs(rate - near))
    choices = ((rate, allowed) for allowed in (_SLOT_TOLERANCE, Fraction(1, 2)) for rate in alike)
    return next((rate for rate, allowed in choices if _own_slots(ticks, time_base * rate, allowed)), near)


def _own_slots(ticks: Sequence[int], frames_per_tick: Fraction, allowed: Fraction) -> bool:
    """Test that every frame lies as near as `allowed` (in frames) to a slot that no other frame lies nearest to."""
    numerator, denominator = frames_per_tick.as_integer_ratio()
    last = -1
    for tick in ticks:  # one by one: lists of positions and slots would be a gigabyte for a long film
        position = (tick - ticks[0]) * numerator
        slot = (2 * position + denominator) // (2 * denominator)
        if slot <= last or abs(position - slot * denominator) > allowed * denominator:
            return False
        last = slot
    return True
