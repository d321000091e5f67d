import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.transcoding.builders import FILM, NTSC, NTSC_DOUBLE, PAL
from transcoding.grid import STANDARD_RATES, FrameGrid, OpenGrid, constant_rate, snap_rate, usual_gap, varying_rate
from transcoding.manifests.hls.media import target_seconds

MILLISECOND = Fraction(1, 1000)
TICK_90K = Fraction(1, 90_000)
AAC_FRAME = Fraction(1024, 48_000)

rates = st.sampled_from(STANDARD_RATES)
grids = st.builds(FrameGrid, rate=rates, total_frames=st.integers(1, 50_000))


def ticks_at(rate: Fraction, frames: int, time_base: Fraction, *, start: int = 0) -> list[int]:
    """Presentation times of a constant rate, rounded as a container does."""
    return [start + round(number / rate / time_base) for number in range(frames)]


@pytest.mark.parametrize(
    ("measured", "rate"),
    [
        (Fraction(25), PAL),
        (Fraction(2997, 100), NTSC),
        (Fraction(30), Fraction(30)),
        (Fraction(5994, 100), NTSC_DOUBLE),
        (Fraction(23976, 1000), FILM),
        (Fraction(16), Fraction(20)),  # the next higher one: no frame is lost
        (Fraction(1), Fraction(5)),
        (Fraction(120), Fraction(60)),  # every second frame
        (Fraction(144), Fraction(48)),  # every third
        (Fraction(240), Fraction(60)),
        (Fraction(1_000_000), Fraction(60)),
    ],
)
def test_a_measured_rate_snaps_to_a_standard_one(measured: Fraction, rate: Fraction) -> None:
    assert snap_rate(measured) == rate


@pytest.mark.parametrize("time_base", [MILLISECOND, TICK_90K, Fraction(1, 1_000_000)], ids=["1ms", "90kHz", "1us"])
@pytest.mark.parametrize("rate", STANDARD_RATES, ids=str)
def test_a_constant_rate_is_found_through_the_rounding_of_containers(rate: Fraction, time_base: Fraction) -> None:
    assert constant_rate(ticks_at(rate, 5000, time_base, start=12_345), time_base) == rate


def test_29_97_and_30_are_distinguished_once_they_differ_by_a_frame() -> None:
    assert constant_rate(ticks_at(NTSC, 1000, MILLISECOND), MILLISECOND) == NTSC
    assert constant_rate(ticks_at(Fraction(30), 1000, MILLISECOND), MILLISECOND) == 30


def test_a_missing_frame_makes_a_rate_vary() -> None:
    ticks = ticks_at(PAL, 1000, MILLISECOND)
    del ticks[500]
    assert constant_rate(ticks, MILLISECOND) is None


def test_jitter_within_the_slots_is_constant() -> None:
    jitter = random.Random(1)  # noqa: S311 - a repeatable test, no secret
    ticks = [tick + jitter.randint(-3, 3) for tick in ticks_at(NTSC, 3000, MILLISECOND, start=1000)]
    assert constant_rate(sorted(ticks), MILLISECOND) == NTSC


@pytest.mark.parametrize("ticks", [[], [0], [7, 7]])
def test_less_than_two_frames_have_no_rate(ticks: list[int]) -> None:
    assert constant_rate(ticks, MILLISECOND) is None


@pytest.mark.parametrize("rate", [Fraction(16), Fraction(120), Fraction(1)])
def test_a_constant_rate_that_is_not_standard_varies(rate: Fraction) -> None:
    assert constant_rate(ticks_at(rate, 500, TICK_90K), TICK_90K) is None


@pytest.mark.parametrize(("source", "rate"), [(16, 20), (120, 60), (1, 5), (7, 8), (30, 30)])
def test_a_varying_rate_has_a_slot_for_every_frame_up_to_60(source: int, rate: int) -> None:
    assert varying_rate(ticks_at(Fraction(source), 500, TICK_90K), TICK_90K) == rate


@pytest.mark.parametrize("rate", [NTSC, Fraction(30), FILM, Fraction(24), NTSC_DOUBLE, Fraction(60)], ids=str)
@pytest.mark.parametrize("time_base", [MILLISECOND, TICK_90K], ids=["1ms", "90kHz"])
def test_a_clip_that_misses_frames_keeps_its_own_rate(rate: Fraction, time_base: Fraction) -> None:
    ticks = ticks_at(rate, 5000, time_base)
    remaining = [tick for number, tick in enumerate(ticks) if number % 17 and not 900 < number < 1000]
    assert varying_rate(remaining, time_base) == rate


def test_a_single_frame_gets_25() -> None:
    assert varying_rate([0], MILLISECOND) == 25


def test_the_usual_gap_is_the_median() -> None:
    assert usual_gap([0, 40, 80, 120, 9000]) == 40
    assert usual_gap([5]) == 0


@pytest.mark.parametrize(
    ("rate", "gop", "segment", "timescale", "frame_ticks"),
    [
        (PAL, 50, 100, 25_000, 1000),
        (NTSC, 60, 120, 30_000, 1001),
        (FILM, 48, 96, 24_000, 1001),
        (NTSC_DOUBLE, 120, 240, 60_000, 1001),
        (Fraction(25, 2), 25, 50, 12_500, 1000),
        (Fraction(5), 10, 20, 5_000, 1000),
    ],
    ids=str,
)
def test_the_grid_of_a_rate(rate: Fraction, gop: int, segment: int, timescale: int, frame_ticks: int) -> None:
    grid = FrameGrid(rate=rate, total_frames=1)
    assert (grid.gop_frames, grid.segment_frames, grid.timescale, grid.frame_ticks) == (
        gop,
        segment,
        timescale,
        frame_ticks,
    )


@pytest.mark.parametrize(
    ("frames", "segments"),
    [
        (1, [1]),
        (100, [100]),
        (101, [101]),  # a tail of up to a tenth of a segment joins the one before it
        (110, [110]),
        (111, [100, 11]),
        (199, [100, 99]),
        (310, [100, 100, 110]),
    ],
)
def test_segments_of_a_length(frames: int, segments: list[int]) -> None:
    grid = FrameGrid(rate=PAL, total_frames=frames)
    assert [grid.frames_in(segment) for segment in range(grid.total_segments)] == segments


@pytest.mark.parametrize(("rate", "frames"), [(Fraction(16), 1), (PAL, 0)])
def test_a_grid_needs_a_standard_rate_and_a_frame(rate: Fraction, frames: int) -> None:
    with pytest.raises(ValueError, match="frame"):
        FrameGrid(rate=rate, total_frames=frames)


@pytest.mark.parametrize(("gops", "frames", "segments"), [(1, 199, [50, 50, 50, 49]), (3, 310, [150, 160])])
def test_segments_may_have_another_number_of_gops(gops: int, frames: int, segments: list[int]) -> None:
    grid = FrameGrid(rate=PAL, total_frames=frames, segment_gops=gops)
    assert [grid.frames_in(segment) for segment in range(grid.total_segments)] == segments
    assert grid.segment_seconds == 2 * gops


def test_a_segment_has_a_gop() -> None:
    with pytest.raises(ValueError, match="at least one GOP"):
        FrameGrid(rate=PAL, total_frames=1, segment_gops=0)


def test_an_open_grid_goes_on_and_has_no_end() -> None:
    grid = FrameGrid(rate=PAL, total_frames=None, segment_gops=1)
    assert grid.is_open
    assert (grid.first_frame(1_000_000), grid.frames_in(7, 3), grid.start(3)) == (50_000_000, 150, Fraction(6))
    assert (grid.gop_length(50), grid.peak_frames) == (50, 50)
    for of_the_end in ("frame_count", "total_segments", "duration"):
        with pytest.raises(OpenGrid):
            getattr(grid, of_the_end)


def test_the_last_gop_is_as_long_as_what_is_left() -> None:
    grid = FrameGrid(rate=PAL, total_frames=60)
    assert [grid.gop_length(frame) for frame in (0, 50)] == [50, 10]
    assert grid.peak_frames == 60


@given(grids)
def test_segments_cover_all_frames(grid: FrameGrid) -> None:
    boundaries = [grid.first_frame(segment) for segment in range(grid.total_segments + 1)]
    assert boundaries == sorted(set(boundaries))
    assert (boundaries[0], boundaries[-1]) == (0, grid.total_frames)


@given(grids, st.data())
def test_every_boundary_is_a_whole_tick_and_a_whole_microsecond(grid: FrameGrid, data: st.DataObject) -> None:
    """ffmpeg reads times in microseconds, players count in ticks."""
    segment = data.draw(st.integers(0, grid.total_segments - 1))
    assert (grid.start(segment) * 1_000_000).denominator == 1
    assert (grid.start(segment) * grid.timescale).denominator == 1
    assert grid.start(segment) * grid.timescale == grid.first_frame(segment) * grid.frame_ticks


@given(grids)
def test_no_tail_is_so_short_that_players_or_the_encoder_trip_over_it(grid: FrameGrid) -> None:
    """One or two frames by themselves get another edit list, and lie behind the end for who looks past it."""
    last = grid.frames_in(grid.total_segments - 1)
    assert grid.total_segments == 1 or last > 2


@given(grids)
def test_no_segment_rounds_to_more_than_the_target_duration(grid: FrameGrid) -> None:
    longest = max(grid.frames_in(segment) for segment in {0, grid.total_segments - 1}) / grid.rate
    assert round(longest + AAC_FRAME) <= target_seconds(grid.segment_frames / grid.rate)


@given(rates, st.integers(2, 400), st.sampled_from([MILLISECOND, TICK_90K]))
def test_a_constant_source_has_one_frame_per_slot(rate: Fraction, frames: int, time_base: Fraction) -> None:
    ticks = ticks_at(rate, frames, time_base)
    found = constant_rate(ticks, time_base)
    assert found is not None
    assert [round((tick - ticks[0]) * time_base * found) for tick in ticks] == list(range(frames))
