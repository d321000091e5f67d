"""Times of MPEG-2 frames as demuxers of program streams say them: 25 frames per second, two B-frames between others."""

from collections.abc import Callable
from fractions import Fraction

import pytest

from transcoding.commands.timestamps import shift_filters
from transcoding.errors import InputRejected
from transcoding.probing.clock import Clock, Shift
from transcoding.probing.clock_packets import ClockPacket
from transcoding.probing.program_times import MAX_LATE, LateFrames, Move, SaidTimes

FRAME = 40_000
VIDEO = 0
_MAX_ARGUMENT_BYTES = 32 * 4096
"""MAX_ARG_STRLEN of Linux, with the zero byte at the end."""


def _late(*frames: tuple[int, int, bool], shifts: int = 0, check: Callable[[], None] = lambda: None) -> LateFrames:
    """Return what is found of frames that are shown and decoded at these numbers of frames; True: the file says so."""
    packets = [
        ClockPacket(VIDEO, shown * FRAME, decoded * FRAME, FRAME, number if said else -1)
        for number, (shown, decoded, said) in enumerate(frames)
    ]
    times = SaidTimes()
    assert list(times.collected(packets, VIDEO, Fraction(FRAME))) == packets
    return times.late(Fraction(FRAME), shifts=shifts, check=check)


def _right(groups: int, *, start: int = 0) -> list[tuple[int, int, bool]]:
    """Frames in coding order, each third of which is shown when the next third one is decoded."""
    numbers = range(start, start + 3 * groups)
    return [(number + (0 if number % 3 else 3), number, number % 3 == 0) for number in numbers]


def test_frames_in_step_stay() -> None:
    assert not _late(*_right(10))


def test_a_frame_with_the_time_of_the_next_one_is_shown_when_the_next_reference_is_decoded() -> None:
    frames = _right(10)
    frames[12] = (13, 12, True)
    assert _late(*frames).shown == (Move(12, 2 * FRAME),)


def test_frames_behind_a_time_that_is_a_frame_too_late_are_in_step_again() -> None:
    found = _late(*_four_late())
    assert [move.number for move in found.shown] == [20, 21, 22, 23]
    assert {move.microseconds for move in (*found.shown, *found.decoded)} == {-FRAME}


def test_pauses_and_parts_are_believed() -> None:
    assert not _late(*_right(10), *_right(10, start=90))
    assert not _late(*_right(10), *_right(10))


def test_a_stream_that_is_not_in_step_stays() -> None:
    assert not _late(*((7 * number, 7 * number, number % 2 == 0) for number in range(20)))


def _four_late() -> list[tuple[int, int, bool]]:
    """Frames, four of which are shown, and four decoded, a frame too late."""
    frames = [(number + 1, number, number % 4 == 0) for number in range(40)]
    for number in range(20, 24):
        frames[number] = (number + 2, number + 1, number == 20)
    return frames


@pytest.mark.parametrize(("allowed", "shifts", "moved"), [(8, 0, 8), (7, 0, 0), (10, 1, 8), (9, 1, 0)])
def test_both_times_of_frames_and_shifts_are_counted(
    allowed: int, shifts: int, moved: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transcoding.probing.program_times.MAX_LATE", allowed)
    assert len(_late(*_four_late(), shifts=shifts)) == moved


@pytest.mark.parametrize("shifts", [0, 500])
def test_as_many_times_as_may_be_moved_are_one_argument(shifts: int) -> None:
    """Numbers of twelve hours of 240 frames per second, and times of twelve hours: the most that there are."""
    moves = tuple(Move(number, -43_200_000_000) for number in range(10_000_000, 10_000_000 + MAX_LATE // 2 - shifts))
    jumps = tuple(Shift(position, -43_200_000_000) for position in range(10**11, 10**11 + shifts))
    clock = Clock(video=VIDEO, shifts={VIDEO: jumps}, late=LateFrames(shown=moves, decoded=moves))
    assert len(str(shift_filters(clock, videos=[VIDEO], audio=[])["bsf:v:0"])) < _MAX_ARGUMENT_BYTES


@pytest.mark.parametrize("calls", range(1, 5))
def test_frames_are_walked_with_checks(calls: int) -> None:
    counter = iter(range(1, calls))

    def check() -> None:
        if next(counter, None) is None:
            raise InputRejected

    with pytest.raises(InputRejected):
        _late(*_right(10), check=check)


def test_frames_are_moved_by_their_number() -> None:
    clock = Clock(video=VIDEO, late=LateFrames(shown=(Move(12, 80_000), Move(40, -40_000))))
    options = shift_filters(clock, videos=[VIDEO], audio=[1])
    assert "if(lt(N,40),eq(N,12)*80000,eq(N,40)*-40000)/1000000/TB" in str(options["bsf:v:0"])
    assert "copyinkf" in options
    assert "bsf:a:0" not in options
