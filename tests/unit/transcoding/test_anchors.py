"""Times that a program stream says of a few of its frames."""

from fractions import Fraction

import pytest

from transcoding.errors import InputRejected
from transcoding.probing.anchors import Anchors, even_start, parse_anchors
from transcoding.probing.clock import Shift
from transcoding.probing.frame_order import CodedFrames

SECOND = 1_000_000
FRAME = SECOND // 25


def test_times_that_some_frames_have_say_when_the_first_one_is_shown() -> None:
    lines = ["0,0.580000,0.500000,0.040000,32", "1,0.5,0.5,0.024,40", "0,N/A,N/A,0.040000,N/A", "0,", "00,1.0,1.0"]
    assert parse_anchors(lines, 0).times == [580_000, None, None]
    positions = [0, 3, 1, 2, 4, 7, 5, 6]
    times = [10 * SECOND + position * FRAME if position % 2 else None for position in positions]
    assert even_start(times, positions, Fraction(FRAME)) == 10 * SECOND
    assert even_start([None, 13 * FRAME, *times[2:]], positions, Fraction(FRAME)) is None
    assert even_start([None] * 8, positions, Fraction(FRAME)) is None


def test_of_two_times_the_earlier_one_is_right() -> None:
    assert even_start([SECOND, 3 * FRAME + SECOND], [0, 2], Fraction(FRAME)) == SECOND


def test_of_two_packets_with_one_time_the_second_one_has_it() -> None:
    lines = ["0,0.500000,,,10", "1,0.700000,,,12", "0,0.700000,,,20", "0,0.700000,,,20", "0,N/A,,,N/A"]
    assert parse_anchors(lines, 0).times == [500_000, None, 700_000, None]


def coded(*orders: int) -> CodedFrames:
    """Frames of one sequence, which are shown in the order of these numbers."""
    frames = CodedFrames()
    for number, order in enumerate(orders):
        frames.add(100 * number, key=not number, order=order, first=not number)
    return frames


def test_a_part_begins_with_the_first_time_behind_a_join() -> None:
    lines = ["0,1.0,1.0,0.04,10", "0,N/A,N/A,0.04,N/A", "0,N/A,N/A,0.04,50", "0,0.5,0.5,0.04,60", "0,0.6,0.6,0.04,90"]
    assert parse_anchors(lines, 0, [Shift(60, SECOND, 1)]).parts == [3]
    assert parse_anchors(lines, 0, [Shift(50, SECOND, 1), Shift(61, 0, 2)]).parts == [3, 4]


def test_frames_of_each_part_are_shown_evenly_even_if_their_order_does_not_start_again() -> None:
    anchors = Anchors([SECOND, None, None, 5 * SECOND + 3 * FRAME, None, None], [3])
    found = anchors.even_times(coded(0, 4, 2, 1, 5, 3), Fraction(FRAME))
    assert list(found.shown) == [
        *(SECOND + at * FRAME for at in (0, 2, 1)),
        *(5 * SECOND + at * FRAME for at in (3, 5, 4)),
    ]
    assert list(found.decoded) == sorted(found.shown)
    assert list(found.milliseconds([Shift(0, -4 * SECOND, 3)])) == [1000, 1080, 1040, 1120, 1200, 1160]


def test_times_of_other_frames_are_refused() -> None:
    with pytest.raises(InputRejected, match="as many"):
        Anchors([0, None]).even_times(coded(0), Fraction(FRAME))
    with pytest.raises(InputRejected, match="their times"):
        Anchors([0, SECOND, 5 * SECOND]).even_times(coded(0, 1, 2), Fraction(FRAME))
