from dataclasses import replace

import pytest

from tests.unit.transcoding.builders import a_plan, a_source
from transcoding.containers.verification import PublishedRun, RenditionTotals, join_runs, verify_rendition
from transcoding.errors import RateExceeded, VerificationFailed

PLAN = a_plan(a_source(640, 360, frames=330))
SIZE = 100_000
"""Bytes of a segment: 200 kb/s over 4 s."""


def a_run(first_segment: int, *frames: int, size: int = SIZE) -> PublishedRun:
    """A run of segments of so many frames at 25 frames and 25,000 ticks a second."""
    return PublishedRun(
        first_segment=first_segment,
        durations=[1000 * count for count in frames],
        frames=frames,
        sizes=[size for _ in frames],
    )


WHOLE = (a_run(0, 100, 100), a_run(2, 100, 30))


def verified(*runs: PublishedRun) -> RenditionTotals:
    return verify_rendition(PLAN, "360p", runs)


def test_runs_that_join_are_added_up() -> None:
    assert verified(*WHOLE) == RenditionTotals(
        segments=4,
        frames=330,
        ticks=330_000,
        size=400_000,
        peak_bandwidth=307_692,  # the last 1.2 s and the 4 s before them
        average_bandwidth=242_424,
        segment_bandwidth=200_000,
    )


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ((), "0 segments instead of 4"),
        (WHOLE[:1], "2 segments instead of 4"),
        (WHOLE[1:], "segment 0 is missing or doubled, next is 2"),
        ((a_run(0, 100), WHOLE[1]), "segment 1 is missing or doubled, next is 2"),
        ((*WHOLE[:1], *WHOLE), "segment 2 is missing or doubled, next is 0"),
        ((a_run(0, 100, 100, 100), WHOLE[1]), "segment 3 is missing or doubled, next is 2"),
        ((WHOLE[1], WHOLE[0]), "segment 0 is missing"),
        ((*WHOLE, a_run(4, 10)), "5 segments instead of 4"),
        ((WHOLE[0], a_run(2, 100, 29)), "329 frames instead of 330"),
        ((WHOLE[0], replace(WHOLE[1], frames=[100, 31])), "331 frames instead of 330"),
        ((WHOLE[0], replace(WHOLE[1], durations=[100_000, 30_001])), "330001 ticks instead of 330000"),
        ((replace(WHOLE[0], sizes=[1]), WHOLE[1]), "the run at segment 0 is ragged"),
        ((replace(WHOLE[0], frames=[100, 50, 50]), WHOLE[1]), "the run at segment 0 is ragged"),
        ((PublishedRun(first_segment=0, durations=[], frames=[], sizes=[]), *WHOLE), "the run at segment 0 is ragged"),
    ],
)
def test_what_is_not_whole_is_reported(runs: tuple[PublishedRun, ...], message: str) -> None:
    with pytest.raises(VerificationFailed, match=message):
        verified(*runs)


def test_a_segment_may_exceed_its_promise_by_a_tenth() -> None:
    promised = PLAN.renditions[0].peak_bandwidth
    largest = promised * 11 // 10 * 4 // 8
    assert verified(a_run(0, 100, 100, size=largest), WHOLE[1]).segment_bandwidth > promised
    with pytest.raises(RateExceeded, match=f"the playlist promises {promised}"):
        verified(a_run(0, 100, 100, size=largest + 10), WHOLE[1])


def test_a_short_last_segment_does_not_count_for_the_promise() -> None:
    promised = PLAN.renditions[0].peak_bandwidth
    last = PublishedRun(first_segment=3, durations=[30_000], frames=[30], sizes=[promised // 4])
    totals = verified(a_run(0, 100, 100, 100), last)
    assert totals.segment_bandwidth == 200_000
    assert totals.peak_bandwidth == int((SIZE + promised // 4) * 8 / 5.2)


def test_the_only_segment_counts_for_the_peak_however_short() -> None:
    totals = join_runs("x", [a_run(0, 10, size=1000)], timescale=25_000, full_segment_ticks=100_000)
    assert (totals.peak_bandwidth, totals.segment_bandwidth) == (20_000, 20_000)


def audio(*ticks: int) -> RenditionTotals:
    run = PublishedRun(first_segment=0, durations=ticks, frames=[188] * len(ticks), sizes=[64_000] * len(ticks))
    return verify_rendition(PLAN, "audio", [run])


SEGMENT = 188 * 1024


@pytest.mark.parametrize("extra", [0, 1024, 2048])
def test_audio_is_as_long_as_the_video_and_its_priming(extra: int) -> None:
    assert audio(SEGMENT, SEGMENT, SEGMENT, 633_600 - 3 * SEGMENT + extra).segments == 4


@pytest.mark.parametrize("extra", [-1, 2049])
def test_audio_of_another_length_is_reported(extra: int) -> None:
    with pytest.raises(VerificationFailed, match=r"samples for 13\.200 s"):
        audio(SEGMENT, SEGMENT, SEGMENT, 633_600 - 3 * SEGMENT + extra)


def test_audio_of_fewer_segments_is_reported() -> None:
    with pytest.raises(VerificationFailed, match="3 segments instead of 4"):
        audio(SEGMENT, SEGMENT, 633_600 - 2 * SEGMENT)
