"""Subtitles in the file of a video become its texts, in step with the audio, and stand in nobody's way."""

from __future__ import annotations

from pathlib import Path

import pytest

from events.models import Event
from jobs.leasing.claim import Claim, step_claim
from jobs.leasing.leases import LeaseLost
from jobs.leasing.steps import step_begin
from jobs.lifecycle.failures import step_fail
from jobs.lifecycle.services import video_delete
from jobs.lifecycle.texts import texts_retry
from jobs.models import Step
from jobs.rules.retry import Failure
from jobs.rules.steps import StepKind
from tests.captions import captioned
from tests.ffmpeg.golden import beep_seconds
from tests.ffmpeg.sources import run
from tests.pipeline_client import PipelineClient
from transcoding.planning.plan import EncodePlan
from transcoding.texts.webvtt import parse_webvtt
from videos.models import Asset, Generation, Text, Video
from videos.playback.texts import generation_texts, text_segment
from videos.texts.selectors import ready_texts
from workers.lease.control import StepControl
from workers.runner import StepRunner
from workers.steps import text as text_step
from workers.tools import Tools

BEEPS = [1 + 2 * beep for beep in range(6)]
LATE = 2.3
"""Seconds at which the file begins on its own clock."""


def subrip(path: Path) -> Path:
    cues = (f"{n}\n00:00:{at:02},000 --> 00:00:{at:02},900\nbeep <b>{at}</b>\n" for n, at in enumerate(BEEPS, start=1))
    path.write_text("\n".join(cues))
    return path


@pytest.fixture(scope="module")
def subtitled(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip in Matroska from 2.3 s on, with a cue at each beep in SubRip and in ASS, and words that are none."""
    folder = tmp_path_factory.mktemp("subtitled")
    words, path = subrip(folder / "words.srt"), folder / "subtitled.mkv"
    inputs = ["-i", f"file:{clip}", "-i", f"file:{words}"]
    maps = ["-map", "0", "-map", "1", "-map", "1", "-c", "copy", "-c:s:1", "ass"]
    tags = [
        "-metadata:s:s:0",
        "language=ger",
        "-metadata:s:s:1",
        "language=eng",
        "-disposition:s:1",
        "forced+hearing_impaired",
    ]
    run([*inputs, *maps, *tags, "-output_ts_offset", str(LATE), f"file:{path}"])
    return path


def text_steps() -> list[str]:
    return list(Step.objects.filter(kind=StepKind.TEXT).order_by("created_at").values_list("state", flat=True))


def test_embedded_subtitles_are_in_step_with_the_audio_over_all_seams(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, subtitled: Path, tmp_path: Path
) -> None:
    """Measured in the rendered segments of a job of four chunks, against the beeps of its file."""
    video = pipeline.upload(subtitled)
    job = pipeline.transcode(video, output_format="mp4")
    runner.work("cpu")
    job.refresh_from_db()
    assert (job.state, text_steps()) == ("completed", ["done"])
    video.refresh_from_db()
    assert video.media is not None
    assert [(text["kind"], text["used"]) for text in video.media["streams"]][-2:] == [("subtitle", True)] * 2
    assert video.warnings == []
    generation = Generation.objects.get()
    plan = EncodePlan.from_json(generation.plan)
    assert len(plan.chunks) == 3
    assert float(plan.first) == pytest.approx(LATE, abs=0.01)
    tools.store.fetch(Asset.objects.get().key, tmp_path / "a.mp4")
    beeps = beep_seconds(tmp_path / "a.mp4")
    listed = [(each.language, each.default, each.forced, each.captions) for each in generation_texts(generation, plan)]
    assert listed == [("de", False, False, False), ("en", False, True, True)]
    for text in ready_texts([video.id]):
        starts: dict[str, float] = {}
        for number in range(plan.total_segments):
            segment = text_segment(text, plan, number)
            assert segment is not None
            start, end = (float(plan.grid.start(n)) for n in (number, number + 1))
            for cue in parse_webvtt(segment):
                assert cue.start / 1000 < end
                assert cue.end / 1000 > start
                starts[cue.text] = cue.start / 1000
        assert list(starts) == [f"beep <b>{at}</b>" for at in BEEPS]
        assert list(starts.values()) == pytest.approx(beeps, abs=0.05)


def test_subtitles_of_mp4_and_a_broken_one_beside_them(
    runner: StepRunner, pipeline: PipelineClient, clip: Path, tmp_path: Path
) -> None:
    words, path = subrip(tmp_path / "words.srt"), tmp_path / "subtitled.mp4"
    (tmp_path / "none.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\n<font></font>\n")
    inputs = ["-i", f"file:{clip}", "-i", f"file:{words}", "-i", f"file:{tmp_path / 'none.srt'}"]
    run([*inputs, "-map", "0", "-map", "1", "-map", "2", "-c", "copy", "-c:s", "mov_text", f"file:{path}"])
    video = pipeline.upload(path)
    runner.work("cpu")
    found = [(text.state, text.language, text.cue_count) for text in Text.objects.order_by("stream")]
    assert found == [("ready", "und", 6), ("failed", "und", None)]
    assert "no cue" in Text.objects.get(state="failed").error_detail
    video.refresh_from_db()
    assert (video.state, [each["code"] for each in video.warnings]) == ("ready", ["text_unreadable"])
    assert text_events() == ["added", "added", "ready", "failed"]
    texts_retry(owner=video.owner, video_id=video.id)
    assert Text.objects.filter(state="pending").count() == 1
    runner.work("cpu")
    assert text_events() == ["added", "added", "ready", "failed", "failed"]
    assert text_steps() == ["done", "done"]


def text_events() -> list[str]:
    types = Event.objects.filter(type__startswith="video.text_").order_by("id").values_list("type", flat=True)
    return [each.removeprefix("video.text_") for each in types]


def a_text_step(runner: StepRunner, tools: Tools, pipeline: PipelineClient, path: Path) -> tuple[Video, Claim]:
    """Upload a file and carry out everything but the extraction, which is claimed."""
    video = pipeline.upload(path)
    while claim := step_claim(queue="cpu", node="node-1", pid=1, lease_seconds=60):
        if claim.kind is StepKind.TEXT:
            return video, claim
        runner.carry_out(claim)
    raise AssertionError("there is nothing to extract")


def test_a_job_does_not_wait_for_texts_nor_fail_with_them(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, subtitled: Path
) -> None:
    video, claim = a_text_step(runner, tools, pipeline, subtitled)
    job = pipeline.transcode(video)
    runner.work("cpu")
    job.refresh_from_db()
    assert (job.state, text_steps()) == ("completed", ["running"])
    failure = Failure(code="input_rejected", detail="the file cannot be read", input_at_fault=True)
    step_fail(claim=claim, failure=failure, policy=tools.policy)
    video.refresh_from_db()
    job.refresh_from_db()
    assert (video.state, job.state, text_steps()) == ("ready", "completed", ["failed"])
    assert {text.error_detail for text in Text.objects.all()} == {"the file cannot be read"}
    assert [each["code"] for each in video.warnings] == ["text_unreadable"]
    assert {text.error_code for text in Text.objects.all()} == {"input_rejected"}
    first, second = Text.objects.order_by("stream")
    for text in (first, second):
        texts_retry(owner=video.owner, video_id=video.id, text_id=text.id)
    assert text_steps() == ["failed", "ready"], "one step for both"
    again = step_claim(queue="cpu", node="node-1", pid=1, lease_seconds=60)
    assert again
    texts_retry_of_a_failed_one(video, second)
    step_fail(claim=again, failure=failure, policy=tools.policy)
    assert {text.state for text in Text.objects.all()} == {"pending"}, "another step has still to begin"
    runner.work("cpu")
    video.refresh_from_db()
    assert (video.warnings, {text.state for text in Text.objects.all()}) == ([], {"ready"})
    assert text_events() == ["added", "added", "failed", "failed", "ready", "ready"]


def texts_retry_of_a_failed_one(video: Video, text: Text) -> None:
    """Request a text again whose extraction has started: as if it had failed meanwhile."""
    Text.objects.filter(id=text.id).update(state="failed", error_code="text_unreadable", error_detail="x")
    texts_retry(owner=video.owner, video_id=video.id, text_id=text.id)


def test_a_deleted_video_has_nothing_to_extract(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, subtitled: Path
) -> None:
    video, claim = a_text_step(runner, tools, pipeline, subtitled)
    work = step_begin(claim=claim)
    video_delete(owner=video.owner, video_id=video.id)
    assert text_steps() == ["cancelled"]
    with pytest.raises(LeaseLost):
        text_step.run(work, tools, StepControl(tools.draining))
    runner.work("cpu")
    assert not Text.objects.filter(state="ready").exists()


@pytest.mark.parametrize("words", ["HELLO", ""])
def test_captions_within_the_video_become_a_text_unless_they_are_idle(
    runner: StepRunner, pipeline: PipelineClient, tmp_path: Path, words: str
) -> None:
    video = pipeline.upload(captioned(tmp_path / "captioned.mp4", words))
    runner.work("cpu")
    video.refresh_from_db()
    assert (video.state, video.media and video.media["closed_captions"]) == ("ready", True)
    assert [each["code"] for each in video.warnings] == ["no_audio"]
    texts = [(text.state, text.language, text.captions, text.stream, text.webvtt) for text in Text.objects.all()]
    cue = "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nHELLO\n"
    assert (texts, text_steps()) == ([("ready", "und", True, 0, cue)] if words else [], ["done"])
