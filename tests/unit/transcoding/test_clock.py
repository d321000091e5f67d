"""Joined streams as lists of packets: video of 25 frames per second is stream 0, audio of 1,024 samples is stream 1."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import chain

import pytest

from transcoding.commands.timestamps import shift_filters
from transcoding.errors import InputCorrupt, ResourceExceeded
from transcoding.probing.clock import Clock, Shift, measure_clock
from transcoding.probing.clock_packets import (
    ClockPacket,
)

MILLISECOND = Fraction(1, 1000)
SECOND = 1_000_000
FRAME = SECOND // 25
VIDEO, AUDIO = 0, 1
_AUDIO_FRAME = SECOND * 1024 // 48_000
_PACKET_BYTES = 188


def recording(
    seconds: float, *, start: float = 0, audio: float | None = None, audio_late: float = 0, delay: int = 0
) -> list[ClockPacket]:
    """A recording on its own clock: as much audio as video, or `audio` seconds, which may begin late.

    `delay` frames of reordering: decoding times are that much earlier.
    """
    zero, length = round(start * SECOND), round(seconds * SECOND)
    frames = [(zero + at, VIDEO, FRAME, delay * FRAME) for at in range(0, length, FRAME)]
    audio_length = length if audio is None else round(audio * SECOND)
    late = round(audio_late * SECOND)
    tones = [(zero + late + at, AUDIO, _AUDIO_FRAME, 0) for at in range(0, audio_length, _AUDIO_FRAME)]
    packets = sorted([*frames, *tones], key=lambda packet: packet[0])
    return [ClockPacket(stream, at, at - early, length, 0) for at, stream, length, early in packets]


def joined(*parts: Sequence[ClockPacket]) -> list[ClockPacket]:
    """The parts one behind the other, with their places in the file."""
    packets = chain.from_iterable(parts)
    return [packet._replace(position=number * _PACKET_BYTES) for number, packet in enumerate(packets)]


def only(stream: int, packets: Sequence[ClockPacket]) -> list[ClockPacket]:
    return [packet for packet in packets if packet.stream == stream]


def measured(packets: Sequence[ClockPacket], *, steady: bool = True) -> Clock:
    return measure_clock(packets, video=VIDEO, steady=steady)


def mended(packets: Sequence[ClockPacket], clock: Clock, stream: int) -> list[int]:
    """The presentation times of a stream after the shifts."""
    return list(_mended(only(stream, packets), clock.shifts.get(stream, ())))


def _mended(packets: Sequence[ClockPacket], shifts: Sequence[Shift]) -> Iterator[int]:
    for packet in packets:
        later = [shift.microseconds for shift in shifts if packet.position >= shift.position]
        yield packet.presentation + (later[-1] if later else 0)


def frames_of(seconds: float, *, start: float = 0) -> list[int]:
    return list(range(round(start * SECOND), round((start + seconds) * SECOND), FRAME))


def test_a_healthy_clock_stays_as_it_is() -> None:
    assert measured(joined(recording(20, start=95443, delay=2))) == Clock()


@pytest.mark.parametrize(
    "second",
    [
        recording(4, start=95_443),
        recording(4, start=10),
        recording(4, start=95_446),
        recording(4, start=200_000),
        recording(4, start=95_443, delay=2),
    ],
    ids=["the same clock", "a clock that is behind", "an overlap", "a clock that is ahead", "reordered"],
)
def test_recordings_that_are_joined_continue_without_a_gap(second: list[ClockPacket]) -> None:
    packets = joined(recording(4, start=95_443), second)
    clock = measured(packets)
    assert mended(packets, clock, VIDEO) == frames_of(8, start=95_443)
    assert clock.restarts == 1
    assert clock.pauses == ()
    assert clock.shifts[VIDEO][0].microseconds == clock.shifts[AUDIO][0].microseconds


def test_the_streams_of_a_part_stay_together() -> None:
    packets = joined(recording(4, audio=3.9), recording(4, start=50, audio=3.5, audio_late=0.5), recording(4))
    clock = measured(packets)
    assert mended(packets, clock, VIDEO) == frames_of(12)
    audio = mended(packets, clock, AUDIO)
    assert 4 * SECOND + SECOND // 2 in audio
    assert 8 * SECOND in audio
    assert clock.restarts == 2


def test_audio_and_video_may_jump_at_slightly_different_places() -> None:
    first, second = recording(6), recording(6, start=100)
    early, late = only(VIDEO, second)[:10], only(VIDEO, second)[10:]
    tail = only(AUDIO, first)[-20:]
    before = [packet for packet in first if packet not in tail]
    rest = sorted([*only(AUDIO, second), *late], key=lambda packet: packet.decoding)
    packets = joined(before, [packet for pair in zip(early, tail, strict=False) for packet in pair], tail[10:], rest)
    clock = measured(packets)
    assert mended(packets, clock, VIDEO) == frames_of(12)
    audio = mended(packets, clock, AUDIO)
    assert audio == sorted(audio)
    assert 6 * SECOND in audio
    assert clock.restarts == 1


def test_a_part_waits_for_audio_that_is_longer_than_the_video_before_it() -> None:
    packets = joined(recording(4, audio=6), recording(4))
    clock = measured(packets)
    audio_end = only(AUDIO, packets[: -len(recording(4))])[-1].presentation + _AUDIO_FRAME
    assert mended(packets, clock, VIDEO) == [*frames_of(4), *(audio_end + time for time in frames_of(4))]


def test_a_pause_of_all_streams_stays_one() -> None:
    packets = joined(recording(4), recording(4, start=9))
    clock = measured(packets)
    assert clock.shifts == {}
    assert [float(pause) for pause in clock.pauses] == pytest.approx([5])


@pytest.mark.parametrize("stream", [VIDEO, AUDIO])
def test_a_stream_that_stands_still_alone_has_a_pause_however_long(stream: int) -> None:
    missing = [packet for packet in recording(100) if packet.stream != stream or not 20 < packet.decoding / SECOND < 60]
    assert measured(joined(missing)) == Clock()


def test_a_frame_that_stays_without_audio_is_a_pause_only_where_there_is_no_clock() -> None:
    packets = joined(only(VIDEO, recording(4)), only(VIDEO, recording(4, start=64)))
    assert measured(packets, steady=False) == Clock()
    assert measured(packets).restarts == 1


@pytest.mark.parametrize("stream", [VIDEO, AUDIO])
def test_a_restart_of_one_stream_alone_leaves_the_other_as_it_is(stream: int) -> None:
    whole = recording(40)
    packets = joined(
        [
            packet._replace(presentation=packet.presentation - 20 * SECOND, decoding=packet.decoding - 20 * SECOND)
            if packet.stream == stream and packet.decoding >= 20 * SECOND
            else packet
            for packet in whole
        ]
    )
    clock = measured(packets)
    assert set(clock.shifts) == {stream}
    assert mended(packets, clock, stream) == pytest.approx([p.presentation for p in only(stream, whole)], abs=40)


def test_a_few_wrong_times_do_not_move_what_follows() -> None:
    whole = recording(40)
    packets = joined(
        [
            packet._replace(presentation=packet.presentation + 3600 * SECOND, decoding=packet.decoding + 3600 * SECOND)
            if packet.stream == VIDEO and 20 * SECOND <= packet.decoding < 20.4 * SECOND
            else packet
            for packet in whole
        ]
    )
    clock = measured(packets)
    assert mended(packets, clock, VIDEO) == frames_of(40)
    assert AUDIO not in clock.shifts


def test_many_recordings_are_joined() -> None:
    packets = joined(*(recording(1, start=number * 37 % 11 * 20) for number in range(300)))
    clock = measured(packets)
    assert mended(packets, clock, VIDEO) == frames_of(300)


def test_times_that_always_jump_are_no_clock() -> None:
    with pytest.raises(InputCorrupt, match="jump more than 500 times"):
        measured(joined(*(recording(0.2, start=number * 37 % 11 * 20) for number in range(600))))


def test_a_jump_at_an_unknown_place_cannot_be_mended() -> None:
    packets = [packet._replace(position=-1) for packet in joined(recording(4), recording(4))]
    with pytest.raises(InputCorrupt, match="is not known"):
        measured(packets)


def test_shifts_become_filters_of_the_streams_in_the_order_of_their_maps() -> None:
    shifts = {0: (Shift(100, 4_000_000),), 2: (Shift(90, 4_000_000), Shift(180, 8_000_000))}
    later = "(if(lt(ld(0),100),0,4000000))/1000000/TB"
    twice = "(if(lt(ld(0),90),0,if(lt(ld(0),180),4000000,8000000)))/1000000/TB"
    at = "0*st(0,if(lt(POS,0),ld(0),POS))"
    assert shift_filters(Clock(shifts=shifts), videos=(0,), audio=(1, 2)) == {
        "bsf:v:0": f"setts=pts='{at}+if(lt(PTS,-1e18),PTS,PTS+{later})':dts='{at}+if(lt(DTS,-1e18),DTS,DTS+{later})'",
        "bsf:a:1": f"setts=pts='{at}+if(lt(PTS,-1e18),PTS,PTS+{twice})':dts='{at}+if(lt(DTS,-1e18),DTS,DTS+{twice})'",
    }


def test_versions_that_filter_late_have_milliseconds() -> None:
    options = shift_filters(Clock(shifts={0: (Shift(100, 4_000_000),)}), videos=(0,), audio=(), late=True)
    assert "PTS+(if(lt(ld(0),100),0,4000000))/1000)" in str(options["bsf:v:0"])


def test_nothing_is_filtered_where_nothing_is_shifted() -> None:
    assert shift_filters(Clock(), videos=(0,), audio=(1,)) == {}


def test_a_short_stretch_of_wrong_times_is_no_restart() -> None:
    """A damaged byte moves all streams of a cluster; a recording that was put in between stays longer."""
    whole = recording(30)
    for seconds, restarts in ((2, 0), (8, 2)):
        wrong = [
            packet._replace(presentation=packet.presentation + 3600 * SECOND, decoding=packet.decoding + 3600 * SECOND)
            if 10 * SECOND <= packet.decoding < (10 + seconds) * SECOND
            else packet
            for packet in whole
        ]
        clock = measured(joined(wrong), steady=False)
        assert clock.restarts == restarts
        assert mended(joined(wrong), clock, VIDEO) == [packet.presentation for packet in only(VIDEO, whole)]


def test_a_stream_that_jumps_there_and_back_again_and_again_is_corrupt() -> None:
    millisecond = SECOND // 1000
    jumping = [
        ClockPacket(VIDEO, at, at, millisecond, number)
        for number in range(3000)
        for at in [number * millisecond + 20 * SECOND * (number % 2)]
    ]
    with pytest.raises(InputCorrupt, match="jump"):
        measured(jumping)


def test_shifts_of_many_streams_are_no_more_than_a_program_takes() -> None:
    packets = (
        ClockPacket(stream, at * 5 * FRAME, at * 5 * FRAME, 5 * FRAME, 0)
        for _ in range(200)
        for at in range(2)
        for stream in range(64)
    )
    with pytest.raises(InputCorrupt, match="jump"):
        measured(joined(list(packets)))


@pytest.mark.parametrize("jumps", [True, False], ids=["parts", "pauses"])
def test_comparing_many_parts_or_pauses_is_checked(*, jumps: bool) -> None:
    """Each is compared with those of all other streams."""
    gap = 20 * SECOND if jumps else 2 * SECOND
    packets = [
        ClockPacket(stream, number * gap, number * gap, FRAME, number * _PACKET_BYTES)
        for number in range(200)
        for stream in range(4)
    ]
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 100:
            raise ResourceExceeded("enough")

    with pytest.raises(ResourceExceeded, match="enough"):
        measure_clock(packets, video=VIDEO, steady=True, check=check)
