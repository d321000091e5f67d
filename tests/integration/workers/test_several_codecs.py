"""A job of several codecs, and a codec that is added to an old video, done by the steps of a worker."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client

from jobs.leasing.steps import step_begin
from jobs.models import Job, Step
from jobs.rules.steps import StepKind
from tests.integration.workers.claims import claim_of_kind
from tests.pipeline_client import PipelineClient
from transcoding.errors import BesideRefused
from videos.models import Generation, Video
from videos.playback.dash import generation_dash
from videos.playback.playlists import generation_master
from videos.playback.urls import playback_urls
from videos.services import generation_delete
from workers.lease.control import StepControl
from workers.runner import RUN, StepRunner
from workers.tools import Tools


def carry_out(tools: Tools, kind: StepKind) -> object:
    claim = claim_of_kind(tools, kind)
    RUN[kind](step_begin(claim=claim), tools, StepControl(tools.draining))
    return (Step.objects.get(id=claim.step_id).result or {}).get("encoder")


def urls_of(master: str) -> list[str]:
    return [line for line in master.splitlines() if line.endswith("index.m3u8")]


def test_players_begin_with_h264_and_get_another_codec_when_it_is_whole(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, clip: Path
) -> None:
    video = pipeline.upload(clip)
    runner.work("cpu")
    job = pipeline.transcode(video, chunk_seconds=8, codecs=["vp9", "h264"], resolution="64x36", output_format="mp4")
    carry_out(tools, StepKind.AUDIO)
    assert carry_out(tools, StepKind.CHUNK) == "libx264"
    job.refresh_from_db()
    assert job.playable_at is not None
    generation = Generation.objects.get()

    def listed() -> list[str]:
        assert ("vp09" in generation_dash(generation)) == (
            "36p-vp9/index.m3u8" in urls_of(generation_master(generation))
        )
        return urls_of(generation_master(generation))

    assert listed() == ["36p/index.m3u8"]
    assert carry_out(tools, StepKind.CHUNK) == "libx264"
    assert carry_out(tools, StepKind.CHUNK) == "libvpx-vp9"
    assert listed() == ["36p/index.m3u8"], "players would wait for the rest of it"
    carry_out(tools, StepKind.CHUNK)
    job.refresh_from_db()
    assert job.state == "processing"
    assert listed() == ["36p/index.m3u8", "36p-vp9/index.m3u8"]
    runner.work("cpu")
    job.refresh_from_db()
    assert (job.state, job.error_detail) == ("completed", "")
    generation.refresh_from_db()
    assert listed() == ["36p/index.m3u8", "36p-vp9/index.m3u8"]
    assert sorted(asset.name for asset in generation.assets.all()) == ["36p", "36p-vp9"]
    assert job.metadata["cpu_codec"] == "libx264, libvpx-vp9"


@pytest.fixture
def old(runner: StepRunner, pipeline: PipelineClient, clip: Path) -> Job:
    """A completed job of one small H.264 rendition."""
    video = pipeline.upload(clip)
    runner.work("cpu")
    job = pipeline.transcode(video, chunk_seconds=60, resolution="64x36")
    runner.work("cpu")
    job.refresh_from_db()
    return job


def test_a_codec_that_is_added_later_plays_beside_what_is_there(
    runner: StepRunner, pipeline: PipelineClient, old: Job, client: Client
) -> None:
    video = Video.objects.get()
    with pytest.raises(BesideRefused, match="h264 already"):
        pipeline.transcode(video, codec="h264", beside=True)
    added = pipeline.transcode(video, chunk_seconds=60, codec="vp9", resolution="64x36", beside=True)
    video.refresh_from_db()
    assert video.current_generation_id == old.generation_id
    with pytest.raises(BesideRefused, match="vp9 already"):
        pipeline.transcode(video, codec="vp9", beside=True)
    before = urls_of(generation_master(Generation.objects.get(number=1)))
    runner.work("cpu")
    added.refresh_from_db()
    video.refresh_from_db()
    assert (added.state, added.error_detail) == ("completed", "")
    assert video.current_generation_id == old.generation_id
    generation = video.current_generation
    assert generation is not None
    urls = urls_of(generation_master(generation))
    assert urls == [*before, "../2/36p-vp9/index.m3u8"]
    assert 'media="../2/$RepresentationID$/$Number$.m4s"' in generation_dash(generation)
    address = playback_urls(None, video, generation).hls()
    playlist = client.get(f"{address.rpartition('/')[0]}/../2/36p-vp9/index.m3u8".replace("/1/../", "/"))
    assert playlist.status_code == 200
    assert playlist.content.decode().count(".m4s") == 4

    generation_delete(generation=generation)
    video.refresh_from_db()
    assert video.current_generation_id == added.generation_id, "it has the audio, too"
    assert urls_of(generation_master(Generation.objects.get(number=2))) == ["36p-vp9/index.m3u8"]


def test_nothing_stands_beside_what_is_not_there(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, clip: Path
) -> None:
    video = pipeline.upload(clip)
    runner.work("cpu")
    with pytest.raises(BesideRefused, match="nothing yet that is complete"):
        pipeline.transcode(video, codec="vp9", beside=True)
    assert not Job.objects.exists()
