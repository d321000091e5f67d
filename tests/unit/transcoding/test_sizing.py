from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from tests.rows import a_plan_policy, some_facts
from transcoding.encoders import cpu_encoder
from transcoding.errors import InputRejected, PlanTooLarge
from transcoding.grid import FrameGrid
from transcoding.planning.encodings import EncoderChoice
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_chunks, plan_job
from transcoding.planning.request import JobRequest, PlanPolicy
from transcoding.planning.sizing import ChunkLimits, SizedBy, Throughput, frame_work, size_chunks
from transcoding.probing.facts import SourceFacts
from transcoding.probing.streams import Resolution

LIMITS = ChunkLimits(work_seconds=60, min_seconds=4, max_seconds=300, max_chunks=2000)
FRAME = 1_000_000  # pixels of work; at 25 fps a second of video is 25 million


def _grid(seconds: int, rate: Fraction = Fraction(25)) -> FrameGrid:
    return FrameGrid(rate=rate, total_frames=int(seconds * rate))


@pytest.mark.parametrize(
    ("megapixels_per_second", "segments", "speed", "sized_by"),
    [
        (25, 15, 1.0, SizedBy.WORK),  # 60 s of work x 1.0 = 60 s of video = 15 segments of 4 s
        (50, 30, 2.0, SizedBy.WORK),
        (10, 6, 0.4, SizedBy.WORK),
        (1, 1, 0.04, SizedBy.WORK),  # 60 s x 0.04 = 2.4 s: about one segment, and never less
        (200, 75, 8.0, SizedBy.LONGEST),  # 480 s of video would be a minute of work; 300 s are allowed
    ],
)
def test_a_chunk_is_about_so_much_work(megapixels_per_second: int, segments: int, speed: float, sized_by: str) -> None:
    throughput = Throughput(pixels_per_second=megapixels_per_second * 1_000_000, samples=7)
    sizing = size_chunks(_grid(7200), FRAME, throughput, LIMITS)
    assert (sizing.segments, sizing.speed, sizing.sized_by, sizing.samples) == (segments, speed, sized_by, 7)


def test_a_short_video_is_no_reason_for_short_chunks() -> None:
    throughput = Throughput(pixels_per_second=25_000_000, samples=0)
    assert size_chunks(_grid(10), FRAME, throughput, LIMITS) == size_chunks(_grid(7200), FRAME, throughput, LIMITS)


def test_chunks_are_never_shorter_than_wanted() -> None:
    slow = Throughput(pixels_per_second=1_000_000, samples=0)
    sizing = size_chunks(_grid(7200), FRAME, slow, replace(LIMITS, min_seconds=16))
    assert (sizing.segments, sizing.sized_by) == (4, SizedBy.SHORTEST)


def test_longer_chunks_keep_their_number_within_the_limit() -> None:
    slow = Throughput(pixels_per_second=1_000_000, samples=0)
    sizing = size_chunks(_grid(7200), FRAME, slow, replace(LIMITS, max_chunks=100))
    assert (sizing.segments, sizing.sized_by) == (18, SizedBy.NUMBER)
    assert len(plan_chunks(_grid(7200), sizing)) == 100


def test_too_many_of_the_longest_chunks_are_refused() -> None:
    with pytest.raises(PlanTooLarge, match="24 chunks; at most 20"):
        size_chunks(_grid(7200), FRAME, Throughput(pixels_per_second=1, samples=0), replace(LIMITS, max_chunks=20))


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(60)])
@pytest.mark.parametrize("seconds", [1, 3, 4, 41, 599, 7199])
@pytest.mark.parametrize("segments", [1, 2, 7, 100])
def test_chunks_cover_the_video_once_in_whole_segments(rate: Fraction, seconds: int, segments: int) -> None:
    grid = _grid(seconds, rate)
    sizing = size_chunks(
        grid,
        FRAME,
        Throughput(pixels_per_second=1, samples=0),
        replace(LIMITS, min_seconds=4 * segments, max_seconds=4 * segments),
    )
    chunks = plan_chunks(grid, sizing)
    covered = [
        number for chunk in chunks for number in range(chunk.first_segment, chunk.first_segment + chunk.segments)
    ]
    assert covered == list(range(grid.total_segments))
    assert max(chunk.segments for chunk in chunks) <= segments + 1  # a tail joins the chunk before it


def test_work_counts_every_rung_and_a_tenth_of_the_source() -> None:
    full, half = Resolution(width=1000, height=1000), Resolution(width=500, height=500)
    assert frame_work(full, [full, half]) == 1_000_000 + 250_000 + 100_000


def test_throughput_is_never_nothing() -> None:
    with pytest.raises(ValueError, match="0 pixels"):
        Throughput(pixels_per_second=0, samples=3)


def _plan(policy: PlanPolicy, measured: Throughput | None = None, *, preset: str | None = None) -> EncodePlan:
    facts = SourceFacts.from_json(some_facts(seconds=3600))
    return plan_job(
        facts,
        JobRequest(preset=preset),
        policy,
        encoders=[EncoderChoice(encoder=cpu_encoder("h264"), measured=measured)],
    )


FREE = replace(a_plan_policy(chunk_seconds=4), max_chunk_seconds=300, max_chunks=2000)


def test_a_plan_is_cut_by_what_was_measured_and_says_so() -> None:
    # 640x360 and a tenth of it for decoding: 253,440 pixels of work per frame, 6.336 million per second of video
    assert _plan(FREE).frame_pixels(["360p"]) == 253_440
    sizing = _plan(FREE, Throughput(pixels_per_second=6_336_000, samples=12)).sizing
    assert sizing is not None
    assert (sizing.speed, sizing.samples, sizing.segments) == (1.0, 12, 15)


def test_without_measurements_a_slower_preset_means_shorter_chunks() -> None:
    quick, slow = _plan(FREE, preset="medium").sizing, _plan(FREE, preset="veryslow").sizing
    assert quick is not None
    assert slow is not None
    assert (quick.samples, slow.samples) == (0, 0)
    assert quick.speed == pytest.approx(4 * slow.speed, rel=0.01)


def test_more_renditions_than_allowed_are_refused() -> None:
    with pytest.raises(PlanTooLarge, match="1 renditions; at most 0"):
        _plan(replace(FREE, max_renditions=0))
    assert issubclass(PlanTooLarge, InputRejected)
