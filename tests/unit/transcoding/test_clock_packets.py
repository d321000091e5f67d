"""Packets as programs list them, and what the times of a few of them say."""

from fractions import Fraction

import pytest

from transcoding.probing.clock_packets import (
    FARTHEST,
    ClockGoesBack,
    ClockPacket,
    going_forward,
    parse_clock_packets,
    parse_positions,
    shown_late,
)
from transcoding.probing.timing import Packet

MILLISECOND = Fraction(1, 1000)
SECOND = 1_000_000
FRAME = SECOND // 25


def test_packets_are_read_as_ffprobe_lists_them() -> None:
    lines = [
        "0,0.010000,0.000000,0.040000,188,",
        "1,N/A,0.001000,N/A,N/A",
        "2,1.000000,1.000000,1.000000,1",
        "0,N/A,N/A,0.040000,376",
        "0,,",
        "",
        "0,-0.010000,N/A,0.040000,564,side,data",
    ]
    assert list(parse_clock_packets(lines, (0, 1))) == [
        ClockPacket(0, 10_000, 0, 40_000, 188),
        ClockPacket(1, 1000, 1000, 0, -1),
        ClockPacket(0, -10_000, -10_000, 40_000, 564),
    ]


def test_times_that_are_known_take_the_place_of_those_that_are_read() -> None:
    lines = ["0,1.000000,N/A,0.040000,188", "1,2.000000,2.000000,0.020000,376", "0,N/A,N/A,0.040000,N/A"]
    assert list(parse_clock_packets(lines, (0, 1), {0: [(80_000, 40_000), (60_000, 50_000)]})) == [
        ClockPacket(0, 80_000, 40_000, 40_000, 188),
        ClockPacket(1, 2 * SECOND, 2 * SECOND, 20_000, 376),
        ClockPacket(0, 60_000, 50_000, 40_000, -1),
    ]


def test_packets_are_read_as_ffmpeg_lists_them_with_their_places() -> None:
    lines = [
        "#software: Lavf59.27.100",
        "#tb 0: 1/90000",
        "#tb 1: 1/1000",
        f"0,        188, {FARTHEST + 180_000}, {FARTHEST + 90_000}, 4000, 0x0",
        f"1,        376, {FARTHEST - 20}, {FARTHEST - 20},   24, 0x0, S=1, 8",
        f"2,        564, {FARTHEST}, {FARTHEST}, 24, 0x0",
        "0, x, 1, 1, 24, 0x0",
        "",
    ]
    assert list(parse_positions(lines, (3, 5))) == [
        ClockPacket(3, 2 * SECOND, SECOND, 0, 188),
        ClockPacket(5, -20_000, -20_000, 0, 376),
    ]


def frames(*, delay: int = 0) -> list[ClockPacket]:
    """A second of video that is decoded `delay` frames before it is shown."""
    return [ClockPacket(0, at * FRAME, (at - delay) * FRAME, FRAME, 0) for at in range(25)]


def test_a_first_frame_may_be_shown_later_than_it_is_decoded() -> None:
    assert shown_late(frames(delay=2)) == 2 * FRAME
    assert shown_late(frames()) == 0
    assert shown_late(()) == 0


def a_packet(pts: int, *, key: bool = False) -> Packet:
    return Packet(pts, 1, key, discard=False)


def test_an_index_that_goes_back_is_noticed() -> None:
    forward = [a_packet(pts, key=pts == 0) for pts in range(25)]
    with pytest.raises(ClockGoesBack):
        list(going_forward([*forward, a_packet(0, key=True)], MILLISECOND))


@pytest.mark.parametrize("damaged", [20_000, 3_600_000, -3_600_000])
@pytest.mark.parametrize("at", [0, 20, 48])
def test_a_single_time_that_is_wrong_is_noticed(damaged: int, at: int) -> None:
    frames = [a_packet(40 * number, key=number % 25 == 0) for number in range(50)]
    list(going_forward(frames, MILLISECOND))
    frames[at] = frames[at]._replace(pts=40 * at + damaged)
    if at or damaged > 0:  # a first frame may come long before the second
        with pytest.raises(ClockGoesBack):
            list(going_forward(frames, MILLISECOND))


def test_slides_may_be_reordered_over_a_long_time() -> None:
    slides = [a_packet(20_000 * number, key=number == 0) for number in (0, 3, 1, 2, 6, 4, 5, 7)]
    assert list(going_forward(slides, MILLISECOND)) == slides


def test_frames_that_are_reordered_do_not_go_back() -> None:
    reordered = [a_packet(pts, key=True) for gop in range(0, 64, 16) for pts in reversed(range(gop, gop + 16))]
    assert list(going_forward(reordered, MILLISECOND)) == reordered
