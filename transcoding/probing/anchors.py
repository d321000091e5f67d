"""Times that a container says of a few frames of H.264 and HEVC, from which those of the others follow.

A packet of a program stream says one time, that of the first frame that begins in it. Frames are shown evenly, in the
order that their headers say, and a joined file has a clock of its own in each part.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from transcoding.errors import InputRejected
from transcoding.probing.clock import Shift
from transcoding.probing.clock_packets import microseconds
from transcoding.probing.frame_order import CodedFrames

_NEARLY_EVEN, _MOSTLY = Fraction(3, 2), Fraction(4, 5)
"""Frames by which a time may be off, and the share of times that must not be more: parsers give some to a neighbour."""
_MILLISECOND = 1000


class FrameTimes(NamedTuple):
    """Times at which the frames of a video are shown and decoded, in microseconds, in coding order."""

    shown: "array[int]"
    decoded: "array[int]"

    def milliseconds(self, shifts: Sequence[Shift]) -> "array[int]":
        """Return when the frames are shown where the clock is shifted like this."""
        found = array("q")
        bounds = [*(shift.number for shift in shifts), len(self.shown)]
        for (begin, end), later in zip(
            pairwise([0, *bounds]), [0, *(shift.microseconds for shift in shifts)], strict=True
        ):
            found.extend(round((time + later) / _MILLISECOND) for time in self.shown[begin:end])
        return found


@dataclass(slots=True)
class Anchors:
    """The times of the packets of a video in coding order, in microseconds; None: the packet does not say one."""

    times: list[int | None] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)
    """Packets with which the parts of a joined file begin, but for the first part."""

    def even_times(self, frames: CodedFrames, step: Fraction) -> FrameTimes:
        """Have the frames of each part shown evenly, a `step` of microseconds apart, as most of the anchors say.

        Raises InputRejected where they say something else.
        """
        if len(self.times) != len(frames.starts):
            raise InputRejected("there are not as many frames as packets")
        positions, found = frames.positions(self.parts), FrameTimes(array("q"), array("q"))
        for begin, end in pairwise([0, *self.parts, len(self.times)]):
            numbers = positions[begin:end]
            first = even_start(self.times[begin:end], numbers, step)
            if first is None:
                raise InputRejected("the frames do not come as their times say")
            shown = [round(first + number * step) for number in numbers]
            found.shown.extend(shown)
            found.decoded.extend(sorted(shown))
        return found


def parse_anchors(lines: Iterable[str], stream: int, shifts: Sequence[Shift] = ()) -> Anchors:
    """Read when each packet of a stream is shown in what `clock_packets.parse_clock_packets` reads.

    `shifts` are those of its clock: a part begins where one does. A time of two packets is that of the second: parsers
    also give it to a frame that ends in the packet of the container which says it.
    """
    anchors = Anchors()
    joins = iter(shifts)
    join = next(joins, None)
    for line in lines:
        number, *fields = line.split(",", 5)
        if number != str(stream):
            continue
        time = microseconds(fields[0])
        if time is not None and join and fields[3:] and fields[3].isdigit() and int(fields[3]) >= join.position:
            anchors.parts.append(len(anchors.times))
            join = next(joins, None)
        if time is not None and anchors.times[-1:] == [time]:
            anchors.times[-1] = None
        anchors.times.append(time)
    return anchors


def even_start(anchors: Iterable[int | None], positions: Sequence[int], step: Fraction) -> int | None:
    """Return when the frame at position 0 is shown, if frames are shown evenly, a `step` of microseconds apart.

    `anchors` are the times that some frames have, and `positions` the numbers at which they are shown, both in coding
    order. None: most times are others.
    """
    offsets = sorted(
        round(time - position * step) for time, position in zip(anchors, positions, strict=False) if time is not None
    )
    if not offsets:
        return None
    middle = offsets[(len(offsets) - 1) // 2]  # of two, the earlier one: parsers give a frame the time of a later one
    near = sum(abs(offset - middle) <= _NEARLY_EVEN * step for offset in offsets)
    return middle if near >= _MOSTLY * len(offsets) else None
