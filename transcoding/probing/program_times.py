"""Times of MPEG-1 and MPEG-2 video in program streams that belong to the frame behind the one that has them.

A packet of a program stream says the time of the first frame that begins in it. A frame begins with its own start code
(ISO/IEC 13818-1, 2.4.3.7); ffmpeg's muxers count from the headers in front of that. Where these end one packet, and the
start code begins the next one, demuxers take the time of a frame for that of the one before it, and work out those
of some frames behind it from there.

Frames of a decoder come in step: one is decoded when the one before it has been shown for its length. B-frames are
shown when they are decoded, and others when the next one of them is.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from transcoding.probing.clock_packets import ClockPacket

_OFF = Fraction(3, 4)
"""Frames by which a time must be off to be wrong: fields that are repeated for television move them by a half."""
_BREAK = 4
"""Frames between two that are no more in step: there is a pause, or another part of a joined file."""
_MOSTLY = Fraction(4, 5)
"""Share of the frames that have their time: otherwise they are not what is said above, and none is changed."""
_CHECKED_FRAMES = 64
MAX_LATE = 2500
"""Times that are moved: they are one argument of a program, of 128 KiB at most, with up to 47 bytes for each of them.
ffmpeg writes some 300 late frames in an hour."""


class Move(NamedTuple):
    """A frame, counted from 0 in coding order, and by how many microseconds its time is later than the file says."""

    number: int
    microseconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LateFrames:
    """Frames that are shown at other times, and those that are decoded at other times."""

    shown: tuple[Move, ...] = ()
    decoded: tuple[Move, ...] = ()

    def __len__(self) -> int:
        """Return how many times are moved: both of a frame are in one argument."""
        return len(self.shown) + len(self.decoded)


NONE_LATE = LateFrames()


@dataclass(slots=True)
class SaidTimes:
    """The times of the frames of a video in coding order, in microseconds, as a demuxer says them."""

    shown: "array[int]" = field(default_factory=lambda: array("q"))
    decoded: "array[int]" = field(default_factory=lambda: array("q"))
    lengths: "array[int]" = field(default_factory=lambda: array("q"))
    said: bytearray = field(default_factory=bytearray)
    """1 for frames whose time is in the file; the others' are worked out from these."""

    def collected(self, packets: Iterable[ClockPacket], stream: int, step: Fraction) -> Iterator[ClockPacket]:
        """Pass on packets, and collect the times of a stream; `step` is the length of a frame in microseconds."""
        for packet in packets:
            if packet.stream == stream:
                self.shown.append(packet.presentation)
                self.decoded.append(packet.decoding)
                self.lengths.append(packet.duration or round(step))
                self.said.append(packet.position >= 0)
            yield packet

    def late(self, step: Fraction, *, shifts: int = 0, check: Callable[[], None] = lambda: None) -> LateFrames:
        """Return the frames that are not shown, or not decoded, when they say; none where they are too many.

        `shifts` are those of the same stream, which stand beside both times in the argument. `check` is called again
        and again, and may raise.
        """
        in_step = self._in_step(step, check)
        right = array("q", in_step)
        end = following = in_step[-1] + self.lengths[-1] if in_step else 0
        for number in _checked(range(len(in_step) - 1, -1, -1), check):
            if abs(end - in_step[number] - self.lengths[number]) > _BREAK * step:
                following = in_step[number] + self.lengths[number]
            end = in_step[number]
            if self.shown[number] != self.decoded[number]:  # no B-frame
                right[number], following = following, end
            if self._is_believed(number, end):
                right[number] = self.shown[number]
        shown, decoded = _moved(self.shown, right, step, check), _moved(self.decoded, in_step, step, check)
        found = LateFrames(shown=shown, decoded=decoded)
        fits = len(found) + 2 * shifts <= MAX_LATE
        return found if fits and len(shown) <= (1 - _MOSTLY) * len(right) else NONE_LATE

    def _is_believed(self, number: int, decoded: int) -> bool:
        """Tell whether the file says when a frame is shown, and does not say the same of the next one."""
        shared = self.shown[number] in self.shown[number + 1 : number + 2]
        return bool(self.said[number]) and self.decoded[number] == decoded and not shared

    def _in_step(self, step: Fraction, check: Callable[[], None]) -> "array[int]":
        """Return when each frame is decoded: as the file says, but for single times that are a frame too late."""
        found = array("q")
        for number, decoded in enumerate(_checked(self.decoded, check)):
            expected = found[-1] + self.lengths[number - 1] if found else decoded
            late = decoded - expected
            next_one = _OFF * step < late < 2 * _OFF * step
            ignored = not self.said[number] or (next_one and self._returns(number, expected, step))
            found.append(expected if ignored else decoded)
        return found

    def _returns(self, number: int, expected: int, step: Fraction) -> bool:
        """Tell whether the next time in the file is what it would be without this one."""
        following = self.said.find(1, number + 1)
        if following < 0:
            return True
        expected += sum(self.lengths[number:following])
        return abs(self.decoded[following] - expected) <= _OFF * step


def _checked(numbers: Iterable[int], check: Callable[[], None]) -> Iterator[int]:
    """Pass on a number for each frame, and check now and then."""
    for index, number in enumerate(numbers):
        if not index % _CHECKED_FRAMES:
            check()
        yield number


def _moved(said: Sequence[int], right: Sequence[int], step: Fraction, check: Callable[[], None]) -> tuple[Move, ...]:
    pairs = enumerate(zip(_checked(said, check), right, strict=True))
    return tuple(Move(number, better - time) for number, (time, better) in pairs if abs(better - time) > _OFF * step)
