"""The clock of a source without an index: where it starts again or jumps, and what makes it continuous.

Recordings are joined by putting their bytes behind each other. Each has a clock of its own, which all of its streams
share. So a source is a row of parts, and what belongs to a part is shifted by the same time in all streams: the video
continues without a gap, and audio stays in step with it.

A clock that goes back has always started again. One that goes forward by up to ten seconds is a pause: the last frame
stays, as the times say. A longer one is a jump, if all streams make it; of one stream alone it is a pause too.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from transcoding.errors import InputCorrupt
from transcoding.probing.clock_packets import LONGEST_PAUSE, MICROSECONDS, ClockPacket
from transcoding.probing.program_times import NONE_LATE, LateFrames

_BACK = 100_000
"""Steps back that are still the same clock, in microseconds: muxers of joined streams overlap by a frame or two."""
_PAUSE = MICROSECONDS
"""The shortest pause that is worth a warning."""
_TOGETHER = 5 * MICROSECONDS
"""Distance of streams of one part: of their first packets behind a join, and of the sizes of their jumps."""
_RETURN = MICROSECONDS // 2
"""Tolerance with which a stream comes back to a clock that a few wrong times had left."""
_OVERHANG = MICROSECONDS // 4
"""Length by which audio may be longer than the video of its part before the next part waits for it."""
_MAX_PARTS = 500
_MAX_STRETCHES = 2 * _MAX_PARTS
"""Stretches of one stream: it leaves each part once, and comes back once."""
_MAX_SHIFTS = 10_000
"""Shifts of all streams together: they are arguments of a program, which have two megabytes in all."""
_MAX_PAUSES = 1000
_JUMPS = f"the times in the file jump more than {_MAX_PARTS} times"


class Shift(NamedTuple):
    """From this offset in the file on, packets of a stream are so many microseconds later than they say."""

    position: int
    microseconds: int
    number: int = 0
    """Packets of the stream in front of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Faults of a clock: the shifts that mend it, by stream, its restarts, and pauses in seconds."""

    shifts: Mapping[int, tuple[Shift, ...]] = field(default_factory=dict)
    video: int = -1
    """The stream that continues without a gap."""
    late: LateFrames = NONE_LATE
    """Frames of the video whose times are wrong by themselves."""
    restarts: int = 0
    pauses: tuple[Fraction, ...] = ()


def measure_clock(
    packets: Iterable[ClockPacket], *, video: int, steady: bool, check: Callable[[], None] = lambda: None
) -> Clock:
    """Find the restarts, jumps and pauses of a source.

    `video` is the stream that continues without a gap; `steady` says that its container has a clock, which video alone
    does not stop for long: a screen recording in other containers shows one frame for minutes. `check` is called again
    and again while the parts are compared, and may raise.

    Raises InputCorrupt for a clock that starts again more often than recordings are joined.
    """
    reading = _Reading()
    for packet in packets:
        reading.take(packet)
    return reading.result(video, steady=steady, check=check)


@dataclass(slots=True)
class _Stretch:
    """A stretch of one stream that belongs to one part."""

    part: int
    position: int
    start: int
    first: int
    end: int
    number: int = 0
    """Packets of the stream in front of it."""


@dataclass(slots=True)
class _Part:
    """A part of the source, and the jump that leads into it."""

    jump: int
    positions: dict[int, int] = field(default_factory=dict)
    """Latest time of each stream, on its own clock, when another one came to this part."""


class _Pause(NamedTuple):
    part: int
    start: int
    length: int


@dataclass(slots=True)
class _Track:
    """The latest packet of a stream, and its stretches."""

    last: int
    step: int
    stretches: list[_Stretch]
    packets: int = 1
    pauses: list[_Pause] = field(default_factory=list)

    @property
    def part(self) -> int:
        return self.stretches[-1].part

    @property
    def expected(self) -> int:
        return self.last + self.step


class _Crossing(NamedTuple):
    """A stream that comes to a part: what it has before, and of the part."""

    stream: int
    track: _Track
    before: _Stretch
    now: _Stretch

    @property
    def returns(self) -> bool:
        """Tell whether the stream goes back to where it came from: the times of this stretch are wrong."""
        return any(
            here is self.now and later.part == self.before.part for here, later in pairwise(self.track.stretches)
        )


class _Reading:
    """The state of `measure_clock` between two packets: its size depends on the number of parts alone."""

    def __init__(self) -> None:
        self._tracks: dict[int, _Track] = {}
        self._parts = [_Part(0)]

    def take(self, packet: ClockPacket) -> None:
        track = self._tracks.get(packet.stream)
        if track is None:
            stretch = self._stretch(len(self._parts) - 1, packet)
            self._tracks[packet.stream] = _Track(packet.decoding, packet.duration, [stretch])
            return
        jump = packet.decoding - track.expected
        if packet.decoding < track.last - _BACK or jump > LONGEST_PAUSE:
            self._cross(track, jump, packet)
        elif jump >= _PAUSE and len(track.pauses) < _MAX_PAUSES:
            track.pauses.append(_Pause(track.part, track.expected, jump))
        track.step = packet.duration or max(0, min(packet.decoding - track.last, _PAUSE)) or track.step
        track.last = packet.decoding
        track.packets += 1
        stretch = track.stretches[-1]
        stretch.first = min(stretch.first, packet.presentation)
        stretch.end = max(stretch.end, packet.presentation + track.step)

    def _stretch(self, part: int, packet: ClockPacket, number: int = 0) -> _Stretch:
        end = packet.presentation + packet.duration
        return _Stretch(part, packet.position, packet.decoding, packet.presentation, end, number)

    def _cross(self, track: _Track, jump: int, packet: ClockPacket) -> None:
        """Have a stream continue in another part."""
        part = self._left_by_mistake(track, packet)
        if part is None:
            part = self._entered_by_others(track, jump, packet.stream)
        if part is None:
            if len(self._parts) > _MAX_PARTS:
                raise InputCorrupt(_JUMPS)
            part = len(self._parts)
            self._parts.append(_Part(jump, {index: other.last for index, other in self._tracks.items()}))
        if len(track.stretches) >= _MAX_STRETCHES:
            raise InputCorrupt(_JUMPS)
        track.stretches.append(self._stretch(part, packet, track.packets))

    def _left_by_mistake(self, track: _Track, packet: ClockPacket) -> int | None:
        """Return the part that a stream was in before a few wrong times, if it now goes on as if they had not been."""
        if len(track.stretches) < 2 or self._is_shared(track):  # noqa: PLR2004 - this one and the one before
            return None
        before, now = track.stretches[-2:]
        elapsed = track.expected - now.start
        if elapsed < _TOGETHER and abs(packet.decoding - before.end - elapsed) < _RETURN:
            return before.part
        return None

    def _is_shared(self, track: _Track) -> bool:
        return any(
            stretch.part == track.part
            for other in self._tracks.values()
            if other is not track
            for stretch in other.stretches
        )

    def _entered_by_others(self, track: _Track, jump: int, stream: int) -> int | None:
        """Return the part that another stream has come to a moment ago, by a jump like this one."""
        for number in range(track.part + 1, len(self._parts)):
            part = self._parts[number]
            near = track.last - part.positions.get(stream, track.last) < _TOGETHER
            if near and abs(jump - part.jump) < _TOGETHER and (jump < 0) == (part.jump < 0):
                return number
        return None

    def result(self, video: int, *, steady: bool, check: Callable[[], None]) -> Clock:
        shifts, restarts = [0] * len(self._parts), set[int]()
        for number in range(1, len(self._parts)):
            check()
            crossings = self._crossings(number)
            if self._is_pause(number, crossings, steady=steady):
                shifts[number] = max(shifts[each.before.part] for each in crossings)
                self._record_pause(number, crossings)
            else:
                shifts[number] = _continued(crossings, shifts, video)
                restarts.add(number)
        wrong = {number for number in restarts if number + 1 in restarts and self._is_mistake(number, shifts)}
        found = {index: _shifts_of(track, shifts) for index, track in self._tracks.items()}
        if sum(map(len, found.values())) > _MAX_SHIFTS:
            raise InputCorrupt(f"the times of the streams in the file jump more than {_MAX_SHIFTS} times")
        return Clock(
            shifts={index: each for index, each in found.items() if each},
            restarts=len(restarts - wrong - {number + 1 for number in wrong}),
            pauses=tuple(self._pauses(video, steady=steady, check=check)),
        )

    def _crossings(self, number: int) -> list[_Crossing]:
        """List the streams that came to a part from another one; others begin in it."""
        return [
            _Crossing(index, track, *next(pair for pair in pairwise(track.stretches) if pair[1].part == number))
            for index, track in self._tracks.items()
            if any(stretch.part == number for stretch in track.stretches[1:])
        ]

    def _is_pause(self, number: int, crossings: Sequence[_Crossing], *, steady: bool) -> bool:
        """Tell whether a jump forward is only that of a stream which stood still while others went on."""
        part = self._parts[number]
        if part.jump < 0 or any(each.returns for each in crossings):
            return False
        crossed = {each.stream for each in crossings}
        others = {index: track for index, track in self._tracks.items() if index not in crossed}
        if any(track.last - part.positions.get(index, track.last) > _TOGETHER for index, track in others.items()):
            return True
        return len(crossed) == 1 and not steady

    def _is_mistake(self, number: int, shifts: Sequence[int]) -> bool:
        """Tell whether the clock goes on behind a short part as if that had not been: its times are wrong."""
        stretches = (each for track in self._tracks.values() for each in track.stretches if each.part == number)
        short = all(each.end - each.first < _TOGETHER for each in stretches)
        return short and abs(shifts[number + 1] - shifts[number - 1]) < _RETURN

    def _record_pause(self, number: int, crossings: Iterable[_Crossing]) -> None:
        for _, track, before, _ in crossings:
            if len(track.pauses) < _MAX_PAUSES:
                track.pauses.append(_Pause(before.part, before.end, self._parts[number].jump))

    def _pauses(self, video: int, *, steady: bool, check: Callable[[], None]) -> Iterator[Fraction]:
        """Yield the pauses of the video in which the other streams stand still as well."""
        others = [track for index, track in self._tracks.items() if index != video]
        if video not in self._tracks or not (others or steady):
            return
        for pause in self._tracks[video].pauses:
            check()
            if all(any(_alike(pause, other) for other in track.pauses) for track in others):
                yield Fraction(pause.length, MICROSECONDS)


def _continued(crossings: Sequence[_Crossing], shifts: Sequence[int], video: int) -> int:
    """Return the shift with which a part continues where those before it end.

    It follows the video, and where the audio before it is much longer, the audio.
    """
    needed = {each.stream: each.before.end + shifts[each.before.part] - each.now.first for each in crossings}
    latest = max(needed.values())
    return needed[video] if latest - needed.get(video, latest) <= _OVERHANG and video in needed else latest


def _alike(one: _Pause, other: _Pause) -> bool:
    """Tell whether two streams stand still at the same time, most of it."""
    start, end = max(one.start, other.start), min(one.start + one.length, other.start + other.length)
    return one.part == other.part and 2 * (end - start) > one.length


def _shifts_of(track: _Track, shifts: Sequence[int]) -> tuple[Shift, ...]:
    """Return the shifts of one stream. Raises InputCorrupt where the places of its packets are not known."""
    found: list[Shift] = []
    for stretch in track.stretches:
        shift = shifts[stretch.part]
        if shift == (found[-1].microseconds if found else 0):
            continue
        if stretch.position < 0 or (found and stretch.position <= found[-1].position):
            raise InputCorrupt("the times in the file start again at a place that is not known")
        found.append(Shift(stretch.position, shift, stretch.number))
    return tuple(found)
