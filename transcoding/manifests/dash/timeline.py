"""The times of segments in DASH manifests.

A SegmentTimeline says when segments are presented, which is after the edit lists of their init segments. The frames'
edit list takes off the delay of B-frames, so segment 0 starts at 0 although its first frame is composed later. The
audio's takes off the encoder's priming, so segment 0 is shorter here than its samples. Both timelines start at 0 and
need no presentationTimeOffset; with one, players would shift what the browser has already shifted.

A Period of a live stream begins in the middle of the media: its offset is the time of its first frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The segments of a rendition, those that exist: their lengths in ticks, as they are presented."""

    timescale: int
    durations: tuple[int, ...]
    first_segment: int = 0
    start: int = 0
    """Tick at which the first segment is presented."""
    offset: int = 0
    """Tick that is presented at the start of the Period."""

    @classmethod
    def of_samples(cls, durations: Sequence[int], *, timescale: int, skipped: int = 0) -> "Timeline":
        """Return the timeline of coded segments; an edit list skips so many ticks of the first one."""
        first, *others = durations
        return cls(timescale=timescale, durations=(first - skipped, *others))

    @property
    def longest(self) -> Fraction:
        """Length of the longest segment, in seconds."""
        return Fraction(max(self.durations), self.timescale)
