"""A video can be watched from its beginning while the rest is still being encoded."""

import time
from pathlib import Path

import pytest

from events.models import Event
from jobs.leasing.steps import step_begin
from jobs.models import Job
from jobs.rules.steps import StepKind
from tests.integration.workers.claims import claim_of_kind
from tests.pipeline_client import PipelineClient
from videos.models import Generation, Video
from videos.playback.playlists import rendition_playlist
from videos.services import generation_abandon
from workers.lease.control import StepControl
from workers.runner import RUN, StepRunner
from workers.steps import publishing
from workers.steps.publishing import make_way
from workers.tools import Tools


def carry_out(tools: Tools, kind: StepKind) -> None:
    claim = claim_of_kind(tools, kind)
    RUN[kind](step_begin(claim=claim), tools, StepControl(tools.draining))


@pytest.fixture
def job(tools: Tools, runner: StepRunner, pipeline: PipelineClient, clip: Path) -> Job:
    """A job of four segments in two chunks, planned and not started."""
    video = pipeline.upload(clip)
    runner.work("cpu")
    return pipeline.transcode(video, chunk_seconds=8)


def playlist(job: Job, name: str) -> str:
    return rendition_playlist(Generation.objects.get(job_id=job.id).renditions.get(name=name))


def test_a_job_is_playable_when_video_and_audio_have_started(tools: Tools, job: Job) -> None:
    carry_out(tools, StepKind.AUDIO)
    assert not Job.objects.filter(playable_at__isnull=False).exists()
    assert Video.objects.get().current_generation is None
    carry_out(tools, StepKind.CHUNK)
    job.refresh_from_db()
    assert job.playable_at is not None
    assert Video.objects.get().current_generation_id == job.generation_id
    assert job.state == "processing"
    types = Event.objects.filter(job_id=job.id).order_by("seq").values_list("type", flat=True)
    assert list(types) == ["job.queued", "job.planned", "job.started", "job.playable"]


def test_a_playlist_grows_as_an_event_and_ends_as_video_on_demand(tools: Tools, runner: StepRunner, job: Job) -> None:
    carry_out(tools, StepKind.CHUNK)
    carry_out(tools, StepKind.AUDIO)
    growing = playlist(job, "180p")
    assert "#EXT-X-PLAYLIST-TYPE:EVENT" in growing
    assert "#EXT-X-START:TIME-OFFSET=0" in growing
    assert "#EXT-X-ENDLIST" not in growing
    assert [line for line in growing.splitlines() if line.endswith(".m4s")] == ["0.m4s", "1.m4s"]
    runner.work("cpu")
    whole = playlist(job, "180p")
    assert whole.startswith(growing.replace("TYPE:EVENT", "TYPE:VOD"))
    assert whole.endswith("3.m4s\n#EXT-X-ENDLIST\n")


def test_a_later_chunk_makes_way_until_the_video_is_playable(tools: Tools, job: Job) -> None:
    audio = claim_of_kind(tools, StepKind.AUDIO)
    first, second = claim_of_kind(tools, StepKind.CHUNK), claim_of_kind(tools, StepKind.CHUNK)
    assert (first.ordinal, second.ordinal) == (0, 1)
    work, control = step_begin(claim=second), StepControl(tools.draining)
    polls: list[int] = []

    def encoded_meanwhile(_: float) -> None:
        polls.append(control.movements)
        if len(polls) == 2:
            for claim in (audio, first):
                RUN[claim.kind](step_begin(claim=claim), tools, StepControl(tools.draining))

    make_way(work, tools, control, sleep=encoded_meanwhile)
    assert polls == [1, 2], "its lease is renewed meanwhile"
    make_way(work, tools, control, sleep=encoded_meanwhile)
    assert len(polls) == 2, "the video is playable"


def test_a_later_chunk_does_not_wait_for_ever(tools: Tools, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "MAKE_WAY_SECONDS", 0.1)
    claim_of_kind(tools, StepKind.AUDIO)
    claim_of_kind(tools, StepKind.CHUNK)
    second = claim_of_kind(tools, StepKind.CHUNK)
    started = time.monotonic()
    make_way(step_begin(claim=second), tools, StepControl(tools.draining))
    assert time.monotonic() - started >= 0.1


def test_a_gap_in_what_is_published_ends_the_playlist(tools: Tools, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "MAKE_WAY_SECONDS", 0)
    first, second = claim_of_kind(tools, StepKind.CHUNK), claim_of_kind(tools, StepKind.CHUNK)
    assert (first.ordinal, second.ordinal) == (0, 1)
    RUN[StepKind.CHUNK](step_begin(claim=second), tools, StepControl(tools.draining))
    assert ".m4s" not in playlist(job, "180p")
    RUN[StepKind.CHUNK](step_begin(claim=first), tools, StepControl(tools.draining))
    assert playlist(job, "180p").count(".m4s") == 4


def test_players_do_not_wait_for_an_abandoned_generation(tools: Tools, job: Job) -> None:
    carry_out(tools, StepKind.CHUNK)
    carry_out(tools, StepKind.AUDIO)
    assert Video.objects.get().current_generation is not None
    generation_abandon(generation_id=Generation.objects.get().id)
    assert Video.objects.get().current_generation is None


def test_a_whole_generation_stays_until_a_newer_one_is_whole(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, job: Job
) -> None:
    runner.work("cpu")
    job.refresh_from_db()
    newer = pipeline.transcode(job.video, chunk_seconds=8)
    carry_out(tools, StepKind.CHUNK)
    carry_out(tools, StepKind.AUDIO)
    newer.refresh_from_db()
    assert newer.playable_at is not None
    assert Video.objects.get().current_generation_id == job.generation_id
    runner.work("cpu")
    newer.refresh_from_db()
    assert Video.objects.get().current_generation_id == newer.generation_id
