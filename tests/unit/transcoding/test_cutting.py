"""The part of a video that a request names."""

import json
from dataclasses import replace
from fractions import Fraction

import pytest

from tests.unit.transcoding.builders import NTSC, a_policy, a_source, an_audio_source
from transcoding.commands.audio import audio_command
from transcoding.commands.chunk import chunk_command, read_until, seek_time
from transcoding.errors import TimeOutside
from transcoding.explanation.reasons import explain
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.probing.facts import SourceFacts
from transcoding.timeline import AudioSpan, Cut, Hold


def planned(facts: SourceFacts | None = None, **request: object) -> EncodePlan:
    chosen = JobRequest(resolution="360p", **request)  # type: ignore[arg-type]
    return plan_job(facts or a_source(frames=1000), chosen, a_policy())


@pytest.mark.parametrize(
    ("start", "end", "first", "frames"),
    [
        (0.04, None, 1, 999),
        (0.041, None, 1, 999),  # rounded
        (0.0411, None, 2, 998),
        (0.0399, None, 1, 999),
        (None, 20, 0, 500),
        (None, 20.01, 0, 501),
        (1.5, 1.54, 38, 1),
        (39.96, 40, 999, 1),
        (39.96, 40.0009, 999, 1),
    ],
)
def test_a_part_begins_and_ends_with_the_next_frames(
    start: float | None, end: float | None, first: int, frames: int
) -> None:
    plan = planned(start=start, end=end)
    assert (plan.first, plan.total_frames) == (Fraction(first, 25), frames)
    assert plan.video_start == -first


@pytest.mark.parametrize(("start", "end"), [(None, None), (0, None), (0.0, 40), (0.001, 40.001), (None, 40.0)])
def test_all_of_a_video_is_no_part_of_it(start: float | None, end: float | None) -> None:
    assert planned(start=start, end=end) == planned()


def test_every_frame_is_found_by_its_rounded_time_and_parts_that_join_share_none() -> None:
    facts = a_source(rate=NTSC, frames=900)
    whole = float(facts.duration)
    for frame in (1, 31, 32, 33, 450, 898):
        for digits in (3, 4, 6):
            time = round(float(frame / NTSC), digits)
            before, behind = planned(facts, end=time), planned(facts, start=time, end=whole)
            assert (before.total_frames, behind.total_frames) == (frame, 900 - frame)
            assert behind.first == facts.first + frame / NTSC


@pytest.mark.parametrize(
    ("start", "end", "field", "part"),
    [
        (40, None, "start", "not before the end of the video, which lasts 40.000 s"),
        (1e5, None, "start", "not before the end"),
        (1, 40.01, "end", "behind that of the video, which lasts 40.000 s"),
        (1.01, 1.02, "end", "no frame starts between"),
        (39.97, None, "start", "no frame starts between"),
    ],
)
def test_times_outside_the_video_name_the_field(start: float, end: float | None, field: str, part: str) -> None:
    with pytest.raises(TimeOutside, match=part) as caught:
        planned(start=start, end=end)
    assert (caught.value.field, caught.value.retryable) == (field, False)


def test_a_part_of_a_video_that_is_too_long_is_not() -> None:
    policy = a_policy(max_seconds=20)
    assert plan_job(a_source(frames=1000), JobRequest(start=5, end=25), policy).grid.duration == 20


def test_chunks_of_a_part_seek_where_its_frames_are() -> None:
    plan = planned(start=10.0, end=30.0)
    assert [seek_time(plan, chunk.first_segment) for chunk in plan.chunks] == [9, 17, 25]
    last = plan.chunks[-1]
    assert read_until(plan, last.first_segment, last.segments) == 30 + Fraction(1, 25)
    command = chunk_command(plan, "/s/x", first_segment=0, segments=2)
    assert command.inputs[0].options["ss"] == "9.000000"
    assert command.outputs[0].options["output_ts_offset"] == "0.000000"
    assert "setpts=round(PTS-(10/1)/TB),fps=25/1:start_time=0.000000" in (command.filter_graph or "")


def test_audio_is_read_from_some_time_before_the_part_on() -> None:
    plan = planned(start=15.0, end=30.0)
    command = audio_command(plan, plan.audio[0], "/s/x")
    assert command.inputs[0].options["ss"] == "5.000000"
    assert "asetpts=round(PTS-(15/1)/TB),atrim=end=15.000000," in (command.filter_graph or "")
    near = planned(start=9.0)
    assert "ss" not in audio_command(near, near.audio[0], "/s/x").inputs[0].options


def test_audio_alone_is_cut_at_any_time() -> None:
    plan = plan_job(an_audio_source(seconds=60), JobRequest(start=20.005, end=21.5051), a_policy())
    assert plan.cut == Cut(start=Fraction("20.005"), length=Fraction("1.5001"))
    assert plan.total_frames == 38, "of 0.04 s"
    command = audio_command(plan, plan.audio[0], "/s/x")
    assert "ss" not in command.inputs[0].options, "times of audio files may be estimates"
    assert "PTS-(4001/200)/TB),atrim=end=1.500100," in (command.filter_graph or "")
    assert (command.filter_graph or "").endswith("apad=whole_dur=1.520000,atrim=end=1.520000[audio]")


def test_a_part_of_held_frames_counts_from_the_outputs_of_the_whole() -> None:
    facts = a_source(frames=250, first=Fraction(1))
    span = AudioSpan(start=Fraction(0), end=Fraction(21), filled=Fraction(21), delay=Fraction(0))
    facts = replace(facts, audio=(replace(facts.audio[0], span=span),))
    whole = planned(facts)
    assert (whole.hold, whole.total_frames) == (Hold(before=25, after=250), 525)
    late = planned(facts, start=15, end=20)
    assert (late.first, late.video_start, late.video_end) == (Fraction(15), -350, -100)
    assert "start_time=-5.040000" in (chunk_command(late, "/s/x", first_segment=0, segments=1).filter_graph or "")
    early = planned(facts, start=0.4, end=5)
    assert (early.first, early.video_start) == (Fraction(2, 5), 15)
    assert seek_time(early, 0) is None


def test_a_plan_says_what_is_cut_and_is_stored() -> None:
    plan = planned(start=1.5, end=9)
    assert EncodePlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    (reason,) = (reason for reason in explain(plan, JobRequest()) if reason.choice == "cut")
    assert reason.value == "1.52 to 9 s of the video, 187 frames"
