from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from tests.rows import a_plan_policy, some_facts
from transcoding.color import ColorSpace
from transcoding.encoders import ENCODERS, HardwarePath, cpu_encoder
from transcoding.explanation.estimates import estimate
from transcoding.explanation.reasons import Reason, explain
from transcoding.explanation.steps import planned_steps
from transcoding.planning.encodings import EncoderChoice
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.planning.sizing import SizedBy, Throughput
from transcoding.probing.facts import SourceFacts
from transcoding.probing.warnings import Notice, SourceWarning

FACTS = SourceFacts.from_json(some_facts(seconds=40))
SILENT = SourceFacts.from_json(some_facts(seconds=40, audio=False))
POLICY = a_plan_policy(chunk_seconds=8)


def _plan(facts: SourceFacts = FACTS, request: JobRequest | None = None, *, speed: float = 1.0) -> EncodePlan:
    measured = Throughput(pixels_per_second=int(253_440 * 25 * speed), samples=9)
    return plan_job(
        facts, request or JobRequest(), POLICY, encoders=[EncoderChoice(encoder=cpu_encoder("h264"), measured=measured)]
    )


def _reasons(plan: EncodePlan, request: JobRequest | None = None) -> dict[str, Reason]:
    return {reason.choice: reason for reason in explain(plan, request or JobRequest())}


def test_every_choice_of_a_usual_plan_has_a_reason() -> None:
    reasons = _reasons(_plan())
    assert list(reasons) == [
        "frame_rate",
        "color_space",
        "renditions",
        "encoder",
        "device",
        "audio",
        "segments",
        "chunks",
    ]
    assert all(reason.value and reason.because for reason in reasons.values())
    assert reasons["renditions"].value == "360p"
    assert reasons["audio"].value == "stereo, mp4a.40.2, 128000 bit/s"


def test_an_open_ended_plan_says_that_nobody_knows_its_length() -> None:
    whole = _plan()
    plan = replace(whole, source=replace(FACTS, total_frames=None), chunks=(), sizing=None, segment_gops=1)
    assert (plan.open_ended, whole.open_ended) == (True, False)
    segments = _reasons(plan)["segments"]
    assert (segments.value, segments.because) == (
        "of 2 s, until the source ends",
        "one GOP of 2 s; all rungs switch at the same frames",
    )
    assert list(planned_steps(plan, max_pixels=1)) == []
    assert estimate(plan, slots=2) is None


def test_a_plan_is_closed_once() -> None:
    plan = replace(_plan(), source=replace(FACTS, total_frames=None), chunks=())
    closed = plan.closed(1000)
    assert (closed.total_frames, closed.total_segments, closed.open_ended) == (1000, 10, True)
    assert closed.closed(1000) == closed
    with pytest.raises(ValueError, match="1000 frames, not 1001"):
        closed.closed(1001)


def test_what_is_unusual_about_a_source_is_said() -> None:
    varying = (Notice(code=SourceWarning.VARIABLE_FRAME_RATE),)
    interlaced = replace(FACTS.video, interlaced=True)
    odd = replace(FACTS, demuxer="matroska", remuxed=True, constant=False, warnings=varying, video_stream=interlaced)
    reasons = _reasons(_plan(odd))
    assert "no reliable index" in reasons["source"].because
    assert "no constant rate" in reasons["frame_rate"].because
    assert "has another one" in _reasons(_plan(replace(odd, warnings=())))["frame_rate"].because
    assert "one frame" in _reasons(_plan(replace(odd, warnings=(), total_frames=1)))["frame_rate"].because
    assert reasons["deinterlacing"].value == "frame"
    assert _reasons(_plan(SILENT))["audio"] == Reason(choice="audio", value="none", because="the source has none")


@pytest.mark.parametrize(("demuxer", "value"), [("matroska", "Matroska"), ("mov", "QuickTime"), ("gif", "its own")])
def test_the_container_of_a_copy_is_named(demuxer: str, value: str) -> None:
    copy = _reasons(_plan(replace(FACTS, demuxer=demuxer, remuxed=True)))["source"]
    assert value in copy.value


def test_a_source_with_audio_is_not_said_to_have_none() -> None:
    request = JobRequest(audio_streams=[])
    (found,) = (each for each in explain(plan_job(FACTS, request, POLICY), request) if each.choice == "audio")
    assert (found.value, found.because) == ("none", "no track is requested")


@pytest.mark.parametrize(
    ("tagged", "value", "because"),
    [
        (ColorSpace(), "smpte170m, smpte170m, smpte170m, tv", "players take a source of its size for"),
        (ColorSpace.of_codes(1, 1, 1, full=False), "bt709, bt709, bt709, tv", "the source says so"),
        (ColorSpace.of_codes(2, 2, 0, full=True), "bt709, bt709, bt709, tv", "the source is RGB"),
    ],
    ids=str,
)
def test_a_color_space_has_a_reason(tagged: ColorSpace, value: str, because: str) -> None:
    reason = _reasons(_plan(replace(FACTS, video_stream=replace(FACTS.video, color=tagged))))["color_space"]
    assert reason.value == value
    assert because in reason.because


def test_what_was_requested_differs_from_what_is_usual() -> None:
    requested = JobRequest(resolution="240p", preset="slow")
    reasons = _reasons(_plan(request=requested), requested)
    assert "one rendition was requested" in reasons["renditions"].because
    assert reasons["encoder"].value == "libx264, preset slow"
    assert "the preset is requested" in reasons["encoder"].because


@pytest.mark.parametrize("sized_by", list(SizedBy))
def test_the_length_of_chunks_has_a_reason_whatever_decided_it(sized_by: SizedBy) -> None:
    plan = _plan()
    assert plan.sizing is not None
    because = _reasons(replace(plan, sizing=replace(plan.sizing, sized_by=sized_by)))["chunks"].because
    assert "1 s of video per second (measured on the last 9 chunks" in because
    assert "60 s of work" in because
    guessed = _reasons(replace(plan, sizing=replace(plan.sizing, sized_by=sized_by, samples=0)))["chunks"].because
    assert "assumed until" in guessed


def test_an_old_plan_is_explained_without_what_it_did_not_say() -> None:
    old = replace(_plan(), sizing=None)
    assert "chunks" not in _reasons(old)
    assert estimate(old, slots=2) is None


def test_every_run_of_ffmpeg_is_shown_with_its_exact_arguments() -> None:
    steps = list(planned_steps(_plan(), threads=3, max_pixels=1000))
    assert [(step.kind, step.first_segment, step.segments) for step in steps] == [
        ("audio", 0, 10),
        *(("chunk", 2 * number, 2) for number in range(5)),
    ]
    third = steps[3]
    assert (third.ordinal, third.start, third.duration) == (2, 16.0, 8.0)
    command = list(third.command)
    assert command[:1] == ["ffmpeg"]
    assert command[command.index("-i") + 1] == "file:{source}"
    assert command[command.index("-progress") + 1] == "{progress}"
    assert command[command.index("-frames:v") + 1] == "200"
    assert command[command.index("-threads") + 1] == "3"
    assert command[-1] == "{360p}"
    assert steps[0].command[-1] == "{audio}"


@pytest.mark.parametrize(
    ("slots", "seconds"),
    [
        (0, None),  # nobody is there
        (1, 40.0),  # five chunks of 8 s at real time
        (2, 24.0),  # three rounds of 8 s
        (5, 8.0),
        (50, 8.0),
    ],
)
def test_the_estimate_is_rounds_of_chunks(slots: int, seconds: float | None) -> None:
    expected = estimate(_plan(SILENT), slots=slots)
    assert expected is not None
    assert (expected.work_seconds, expected.seconds) == (40.0, seconds)


def test_the_estimate_follows_the_speed() -> None:
    expected = estimate(_plan(SILENT, speed=4.0), slots=1)
    assert expected is not None
    assert expected.seconds == pytest.approx(10.0)


def test_times_are_exact_on_a_fractional_rate() -> None:
    facts = replace(FACTS, rate=Fraction(30000, 1001), total_frames=1200)
    steps = [step for step in planned_steps(_plan(facts), max_pixels=1000) if step.kind == "chunk"]
    assert steps[1].start == float(Fraction(240 * 1001, 30000))


def test_both_passes_are_shown() -> None:
    requested = JobRequest(two_pass=True)
    plan = _plan(SILENT, requested)
    steps = list(planned_steps(plan, max_pixels=1000))
    assert [step.kind for step in steps] == ["analysis", "chunk"] * 5
    assert "{statistics}-360p" in steps[0].command
    reason = _reasons(plan, requested)["passes"]
    assert (reason.value, reason.because) == ("two, the first one for analysis", "requested")


def test_a_device_is_named_by_its_encoder_and_by_who_decodes() -> None:
    encoder = ENCODERS["hevc_vaapi"]
    for path in (HardwarePath.UPLOAD, HardwarePath.DEVICE):
        policy = replace(POLICY, hardware_path=path)
        plan = plan_job(FACTS, JobRequest(codec="hevc"), policy, encoders=[EncoderChoice(encoder=encoder, sessions=1)])
        reason = _reasons(plan)["device"]
        assert reason.because.startswith("hevc_vaapi runs on a device")
        assert ("decod" in reason.value) is (path == HardwarePath.DEVICE)
        steps = [step for step in planned_steps(plan, max_pixels=1000) if step.kind == "chunk"]
        assert len(steps) == len(plan.chunks) * len(plan.groups)
        assert "vaapi=gpu:{render node}" in steps[0].command
