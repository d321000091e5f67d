"""Plans for sources that have audio and no video."""

from dataclasses import replace
from fractions import Fraction

import pytest

from tests.unit.transcoding.builders import a_plan, a_policy, an_audio_source
from transcoding.commands.remux import MP4_TARGET, mp4_command
from transcoding.encoders import cpu_encoder
from transcoding.errors import InputRejected, PlanTooLarge
from transcoding.explanation.estimates import estimate
from transcoding.explanation.reasons import Reason, explain
from transcoding.explanation.steps import planned_steps, step_counts
from transcoding.planning.encodings import EncoderChoice
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest

AUDIOBOOK = 12 * 3600


def _plan(request: JobRequest | None = None, *, seconds: int = 10) -> EncodePlan:
    return plan_job(an_audio_source(seconds=seconds), request or JobRequest(), a_policy())


def test_a_plan_has_an_audio_rendition_and_no_chunks() -> None:
    plan = _plan()
    assert (plan.renditions, plan.chunks, plan.audio_only, plan.open_ended) == ((), (), True, False)
    assert [(track.name, track.bitrate, track.stream) for track in plan.audio] == [("audio", 128_000, 0)]
    assert (plan.total_segments, plan.grid.segment_seconds) == (3, Fraction(4))
    assert EncodePlan.from_json(plan.to_json()) == plan


def test_a_plan_without_anything_is_impossible() -> None:
    with pytest.raises(ValueError, match="without video"):
        replace(_plan(), audio=())
    with pytest.raises(ValueError, match="without video"):
        replace(_plan(), chunks=a_plan().chunks)


def test_a_request_for_video_has_no_effect_and_the_plan_says_so() -> None:
    request = JobRequest(resolution="720p", bitrate=3_000_000, codec="hevc", preset="medium", two_pass=True)
    plan = plan_job(
        an_audio_source(), request, a_policy(), encoders=[EncoderChoice(encoder=cpu_encoder("hevc"), sessions=1)]
    )
    assert plan == _plan()
    reasons = {reason.choice: reason for reason in explain(plan, request)}
    assert list(reasons) == [
        *("renditions", "resolution", "bitrate", "codec", "preset", "two_pass", "audio", "segments"),
    ]
    assert reasons["renditions"] == Reason(
        choice="renditions", value="none", because="the source has no video track, only audio"
    )
    assert (reasons["resolution"].value, reasons["resolution"].because) == (
        "no effect",
        "720p was requested of video, and the source has none",
    )
    assert [reason.choice for reason in explain(_plan(), JobRequest())] == ["renditions", "audio", "segments"]


def test_the_only_run_of_ffmpeg_is_that_of_the_audio() -> None:
    plan = _plan()
    assert step_counts(plan) == {"audio": 1}
    (step,) = planned_steps(plan, max_pixels=1)
    assert (step.kind, step.first_segment, step.segments, step.duration) == ("audio", 0, 3, 10.0)
    assert "0:v" not in " ".join(step.command)


def test_an_audiobook_is_minutes_of_work() -> None:
    plan = _plan(seconds=AUDIOBOOK)
    assert plan.work_seconds == 1080
    expected = estimate(plan, slots=4)
    assert expected
    assert (expected.speed, expected.work_seconds, expected.step_seconds, expected.seconds) == (40, 1080, 1080, 1080)


def test_limits_hold_for_audio_too() -> None:
    with pytest.raises(InputRejected, match="at most 43200 s"):
        _plan(seconds=AUDIOBOOK + 1)
    with pytest.raises(PlanTooLarge, match=r"1000 s are allowed: a shorter file takes less"):
        plan_job(an_audio_source(seconds=AUDIOBOOK), JobRequest(), replace(a_policy(), max_work_seconds=1000))


def test_the_progressive_file_has_all_audio_and_no_video() -> None:
    assert _plan().mp4_names == ()
    plan = _plan(JobRequest(mp4=True))
    assert plan.mp4_names == ("audio",)
    command = mp4_command(plan)
    assert [each.path for each in command.inputs] == ["audio"]
    (output,) = command.outputs
    assert (output.target, output.maps, output.options["movie_timescale"]) == (MP4_TARGET, ("0:a:0",), "48000")


def test_the_grid_has_a_position_for_the_last_sample() -> None:
    assert an_audio_source(seconds=3).grid().duration == 3
    assert an_audio_source().rate == Fraction(25)
