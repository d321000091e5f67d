"""The sample clock of encoded audio, and the headers of frames that are copied."""

import pytest

from execution.remuxing.jailed import adts
from execution.remuxing.jailed.clocks import LASTING_FRAMES, RATE, Alignment, SampleClock

FRAME = 1152
"""Samples of a frame of MP2: 24 ms."""
MS = RATE // 1000


def run(clock: SampleClock, claims: list[int | None]) -> list[Alignment]:
    """Feed frames that claim these positions, and write what comes of each."""
    found = []
    for claimed in claims:
        alignment = clock.align(claimed, FRAME)
        clock.advance(alignment.silence + FRAME - alignment.skip)
        found.append(alignment)
    return found


def frames(count: int, *, start: int = 0) -> list[int | None]:
    return [start + n * FRAME for n in range(count)]


def test_the_clock_starts_where_the_first_frame_says() -> None:
    clock = SampleClock()
    assert run(clock, frames(3, start=777)) == [Alignment()] * 3
    assert clock.position == 777 + 3 * FRAME


def test_jitter_is_ignored() -> None:
    clock = SampleClock()
    claims = [n * FRAME + (n % 5 - 2) * 4 * MS for n in range(500)]
    assert set(run(clock, [0, *claims[1:]])) == {Alignment()}


@pytest.mark.parametrize("lost", [1, 2, 50])
def test_lost_frames_become_silence_at_once(lost: int) -> None:
    clock = SampleClock()
    run(clock, frames(10))
    found = run(clock, frames(10, start=(10 + lost) * FRAME))
    assert found == [Alignment(silence=lost * FRAME), *[Alignment()] * 9]


def test_a_gap_of_any_length_from_60_ms_becomes_silence_at_once() -> None:
    clock = SampleClock()
    run(clock, frames(10))
    assert run(clock, [10 * FRAME + 61 * MS]) == [Alignment(silence=61 * MS)]


def test_an_overlap_is_left_out() -> None:
    clock = SampleClock()
    run(clock, frames(10))
    assert run(clock, frames(4, start=7 * FRAME)) == [Alignment(skip=FRAME)] * 3 + [Alignment()]


def test_an_overlap_within_a_frame_leaves_out_a_part_of_it() -> None:
    clock = SampleClock()
    run(clock, frames(10))
    assert clock.align(10 * FRAME - 70 * MS, 100 * MS) == Alignment(skip=70 * MS)


def test_repeated_time_stamps_are_ignored() -> None:
    claims: list[int | None] = [n // 2 * 2 * FRAME for n in range(400)]
    assert set(run(SampleClock(), claims)) == {Alignment()}


def test_missing_time_stamps_are_ignored() -> None:
    clock = SampleClock()
    assert set(run(clock, [0, None, None, 3 * FRAME, None])) == {Alignment()}
    assert clock.position == 5 * FRAME


def test_a_difference_that_lasts_is_corrected_by_what_is_sure() -> None:
    clock = SampleClock()
    run(clock, frames(10))
    off = [claimed + (15 + n % 3) * MS for n, claimed in enumerate(c for c in frames(100, start=10 * FRAME) if c)]
    found = run(clock, list(off))
    corrected = [each for each in found if each != Alignment()]
    assert corrected == [Alignment(silence=15 * MS)]
    assert found.index(corrected[0]) == LASTING_FRAMES - 1


def test_a_clock_that_runs_slower_is_followed_in_small_steps() -> None:
    """A hundred parts in a million for an hour: 360 ms."""
    clock = SampleClock()
    run(clock, [round(n * FRAME * 1.0001) for n in range(150_000)])
    assert abs(clock.drift) < 11 * MS


def test_a_header_is_recognized_as_what_the_encoder_gives() -> None:
    frame = adts.header(371) + bytes(371)
    assert adts.is_plain(frame)
    assert (frame[3] & 3) << 11 | frame[4] << 3 | frame[5] >> 5 == 378


@pytest.mark.parametrize(
    "changed",
    [
        {2: 0x0C},  # Main profile
        {2: 0x50},  # 44.1 kHz
        {3: 0x40},  # mono
        {2: 0x4D, 3: 0x80},  # six channels
        {6: 0xFD},  # two blocks
        {1: 0xE1},  # no header
    ],
)
def test_any_other_header_is_not(changed: dict[int, int]) -> None:
    frame = bytearray(adts.header(10) + bytes(10))
    for index, value in changed.items():
        frame[index] = value
    assert not adts.is_plain(bytes(frame))


def test_bytes_too_few_for_a_header_are_none() -> None:
    assert not adts.is_plain(b"\xff\xf1\x4c")


def test_a_frame_that_no_header_can_describe_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        adts.header(1 << 13)
