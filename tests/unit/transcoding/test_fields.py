from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest

from tests.unit.transcoding.builders import FILM, NTSC, NTSC_DOUBLE, PAL, a_policy, a_source, a_video
from transcoding.planning.fields import Deinterlacing, deinterlacing_of, retimed
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.probing.facts import SourceFacts
from transcoding.probing.fields import (
    FieldReader,
    Fields,
    FieldSample,
    marked,
    may_be_interlaced,
    measured_fields,
    of_whole_frames,
)
from transcoding.probing.streams import FieldOrder
from transcoding.probing.timing import FrameTiming

TOP, BOTTOM, WHOLE, UNKNOWN = (
    FieldOrder.TOP_FIRST,
    FieldOrder.BOTTOM_FIRST,
    FieldOrder.PROGRESSIVE,
    FieldOrder.UNKNOWN,
)


def seen(*orders: FieldOrder, repeats: str = "n") -> FieldSample:
    """A sample of 45 frames that shows these orders in turn; t, b and n stand for repeated fields."""
    names = {"t": "top", "b": "bottom", "n": "neither"}
    return FieldSample(
        orders=[orders[number % len(orders)] for number in range(45)],
        repeats=[names[repeats[number % len(repeats)]] for number in range(45)],
    )


FILMED = seen(WHOLE, TOP, UNKNOWN, UNKNOWN, WHOLE, repeats="nntnb")


@pytest.mark.parametrize(
    ("sample", "declared", "fields"),
    [
        (seen(WHOLE), WHOLE, Fields(order=WHOLE)),
        (seen(WHOLE), TOP, Fields(order=WHOLE)),
        (seen(TOP), TOP, Fields(order=TOP)),
        (seen(BOTTOM), TOP, Fields(order=BOTTOM)),
        (seen(BOTTOM), WHOLE, Fields(order=BOTTOM)),
        (seen(TOP, UNKNOWN), UNKNOWN, Fields(order=TOP)),
        (seen(UNKNOWN), TOP, Fields(order=TOP)),  # nothing moves
        (seen(UNKNOWN), WHOLE, Fields(order=WHOLE)),
        (seen(TOP, BOTTOM), WHOLE, Fields(order=WHOLE)),  # noise
        (seen(TOP, BOTTOM), BOTTOM, Fields(order=BOTTOM)),
        (seen(*[WHOLE] * 8, TOP), TOP, Fields(order=TOP)),  # partly interlaced, and it says so
        (seen(*[WHOLE] * 8, TOP), WHOLE, Fields(order=WHOLE)),
        (FILMED, TOP, Fields(order=TOP, film=True)),
        (FILMED, WHOLE, Fields(order=TOP, film=True)),
        (seen(WHOLE, repeats="nntnb"), WHOLE, Fields(order=WHOLE)),  # no comb anywhere
        (seen(TOP, repeats="tb"), TOP, Fields(order=TOP)),  # another pattern
        (FieldSample(orders=(), repeats=()), TOP, Fields(order=TOP)),
    ],
)
def test_fields_are_what_they_look_like(sample: FieldSample, declared: FieldOrder, fields: Fields) -> None:
    assert measured_fields([sample], declared=declared) == fields


@pytest.mark.parametrize(
    ("within", "top_next", "bottom_next", "order"),
    [
        (0.73, 2.79, 2.79, WHOLE),
        (1.07, 1.43, 1.44, WHOLE),
        (1.68, 2.27, 3.63, TOP),
        (1.41, 1.42, 1.74, TOP),
        (4.22, 4.76, 6.13, UNKNOWN),  # fine detail
        (1.81, 3.78, 1.79, BOTTOM),
        (0.18, 0.50, 0.18, BOTTOM),
        (10.0, 10.1, 10.0, UNKNOWN),  # nothing moves
        (0.0, 0.01, 0.01, UNKNOWN),
        (106.8, 0.0, 130.6, UNKNOWN),  # lines move upwards
        (5.0, 4.5, 5.5, UNKNOWN),
        (1.0, 1.5, 2.0, UNKNOWN),  # neither
    ],
)
def test_a_frame_is_judged_by_the_likeness_of_fields(
    within: float, top_next: float, bottom_next: float, order: FieldOrder
) -> None:
    assert judged(within, top_next, bottom_next, lines=2 * within) == [order]


def judged(within: float, top_next: float, bottom_next: float, *, lines: float) -> Sequence[FieldOrder]:
    """Judge one frame by what the filters say."""
    reader = FieldReader()
    for name, following in (("top", top_next), ("bottom", bottom_next)):
        for number, value in enumerate((within, following)):
            reader.line(f"[metadata@{name} @ 0x55] frame:{number}    pts:{number}    pts_time:0")
            reader.line(f"[metadata@{name} @ 0x55] lavfi.signalstats.YAVG={value}")
    reader.line("[metadata@lines @ 0x55] frame:0    pts:0    pts_time:0")
    reader.line(f"[metadata@lines @ 0x55] lavfi.signalstats.YAVG={lines}")
    return reader.sample().orders


def test_a_frame_that_shows_each_line_twice_is_no_two_fields() -> None:
    """Its lines move up by two of them: the top field of the next frame is like its bottom field."""
    assert judged(20.0, 20.0, 40.0, lines=40.0) == [TOP]
    assert judged(20.0, 20.0, 40.0, lines=0.4) == [WHOLE]
    assert judged(20.0, 20.0, 20.1, lines=0.0) == [UNKNOWN], "nothing moves"


def test_film_is_film_in_most_samples() -> None:
    video = seen(TOP)
    assert measured_fields([FILMED, FILMED, FILMED, video], declared=TOP).film
    assert not measured_fields([FILMED, video, video], declared=TOP).film
    assert measured_fields([FILMED, seen(UNKNOWN)], declared=TOP).film


def test_lines_of_the_filters_are_read() -> None:
    reader = FieldReader()
    for line in (
        "[metadata@repeated @ 0x55] frame:0    pts:0       pts_time:0",
        "[metadata@repeated @ 0x55] lavfi.idet.repeated.current_frame=top",
        "Stream #0:0: Video: h264",
        "[metadata@top @ 0x56] frame:0    pts:1800    pts_time:0.02",
        "[metadata@top @ 0x56] lavfi.signalstats.YAVG=1.5",
        "[metadata@other @ 0x56] lavfi.signalstats.YAVG=1.5",
        "[metadata@repeated @ 0x55] frame:1    pts:3600    pts_time:0.04",
        "[metadata@repeated @ 0x55] lavfi.idet.repeated.current_frame=neither",
    ):
        reader.line(line)
    assert reader.sample() == FieldSample(orders=[], repeats=["top", "neither"], gap=3600)


def test_a_line_that_is_missing_makes_one_frame_unknown() -> None:
    reader = FieldReader()
    for number in range(6):
        for name, following in (("top", 2.8), ("bottom", 2.9)):
            reader.line(f"[metadata@{name} @ 0x55] frame:{number}    pts:{number}    pts_time:0")
            if (name, number) != ("top", 2):
                reader.line(f"[metadata@{name} @ 0x55] lavfi.signalstats.YAVG={following if number % 2 else 0.7}")
        reader.line(f"[metadata@lines @ 0x55] frame:{number}    pts:{number}    pts_time:0")
        reader.line("[metadata@lines @ 0x55] lavfi.signalstats.YAVG=2.5")
    assert reader.sample().orders == [WHOLE, UNKNOWN, WHOLE]


def test_packets_may_be_fields() -> None:
    fields = FrameTiming(first=Fraction(0), rate=Fraction(50), constant=True, steady=True, total_frames=99)
    base = Fraction(1, 90_000)
    double = FieldSample(orders=(), repeats=(), gap=3600)
    assert of_whole_frames(fields, [double], base) == replace(fields, rate=PAL, total_frames=50)
    for samples in ([], [replace(double, gap=1800)], [replace(double, gap=None)], [double, replace(double, gap=1800)]):
        assert of_whole_frames(fields, samples, base) == fields
    film = replace(fields, rate=FILM)
    assert of_whole_frames(film, [replace(double, gap=7500)], base) == film


def test_frames_that_say_something_else_are_marked_again() -> None:
    plain = replace(a_video(), field_order=WHOLE)
    found = marked(plain, Fields(order=BOTTOM))
    assert (found.interlaced, found.field_order, found.fields_unmarked) == (True, BOTTOM, True)
    right = marked(replace(plain, interlaced=True, field_order=TOP), Fields(order=TOP, film=True))
    assert (right.interlaced, right.fields_unmarked, right.film) == (True, False, True)
    whole = marked(replace(plain, interlaced=True, field_order=TOP), Fields(order=WHOLE))
    assert (whole.interlaced, whole.fields_unmarked) == (False, False)


@pytest.mark.parametrize(
    ("codec", "lines", "rate", "looked_at"),
    [("h264", 1080, PAL, True), ("vp9", 1080, PAL, False), ("h264", 2160, PAL, False), ("h264", 720, 60, False)],
)
def test_video_that_cannot_be_interlaced_is_not_looked_at(
    codec: str, lines: int, rate: Fraction, *, looked_at: bool
) -> None:
    video = replace(a_video(1920, lines), codec=codec)
    assert may_be_interlaced(video, Fraction(rate)) == looked_at
    assert may_be_interlaced(replace(video, interlaced=True), Fraction(rate))


def interlaced(rate: Fraction, *, film: bool = False, frames: int = 1000) -> SourceFacts:
    facts = a_source(rate=rate, interlaced=True, frames=frames)
    return replace(facts, video_stream=replace(facts.video, film=film))


@pytest.mark.parametrize(
    ("facts", "requested", "chosen", "rate", "frames"),
    [
        (a_source(), None, Deinterlacing.NONE, PAL, 1000),
        (a_source(), "field", Deinterlacing.NONE, PAL, 1000),
        (interlaced(PAL), None, Deinterlacing.FRAME, PAL, 1000),
        (interlaced(PAL), "field", Deinterlacing.FIELD, Fraction(50), 2000),
        (interlaced(NTSC), "field", Deinterlacing.FIELD, NTSC_DOUBLE, 2000),
        (interlaced(FILM), "field", Deinterlacing.FRAME, FILM, 1000),  # no output has 47.952
        (interlaced(NTSC, film=True), None, Deinterlacing.FILM, FILM, 800),
        (interlaced(NTSC, film=True, frames=1), None, Deinterlacing.FILM, FILM, 1),
        (interlaced(NTSC, film=True), "frame", Deinterlacing.FRAME, NTSC, 1000),
        (interlaced(NTSC, film=True), "field", Deinterlacing.FIELD, NTSC_DOUBLE, 2000),
        (interlaced(PAL, film=True), None, Deinterlacing.FRAME, PAL, 1000),
    ],
)
def test_what_frames_are_made_of(
    facts: SourceFacts, requested: str | None, chosen: Deinterlacing, rate: Fraction, frames: int
) -> None:
    assert deinterlacing_of(facts, requested) is chosen
    timed = retimed(facts, chosen)
    assert (timed.rate, timed.total_frames) == (rate, frames)
    plan = plan_job(facts, JobRequest(deinterlace=requested), a_policy())
    assert (plan.deinterlacing, plan.grid.rate, plan.total_frames) == (chosen, rate, frames)
