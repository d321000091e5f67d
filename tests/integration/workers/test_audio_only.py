"""Files without video, done by the steps of a worker: what comes out, and what interruptions leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from events.models import Event
from jobs.leasing.steps import step_begin
from jobs.lifecycle.failures import leases_reclaim
from jobs.lifecycle.services import job_cancel, job_retry, video_delete
from jobs.models import Step
from jobs.rules.steps import StepKind
from storage.keys import video_prefix
from tests.ffmpeg.golden import beep_seconds, start_and_duration
from tests.ffmpeg.sources import AAC, beeps
from tests.integration.workers.claims import claim_of_kind
from tests.pipeline_client import PipelineClient
from tests.rows import expire
from videos.models import Asset, Generation, Rendition, SegmentRun, Video
from videos.playback.dash import generation_dash
from videos.playback.playlists import generation_master, rendition_playlist
from videos.selectors import published_prefix
from workers.lease.control import StepControl
from workers.runner import StepRunner
from workers.source import working_copy
from workers.steps import audio
from workers.tools import Tools

SECONDS = 33
BEEPS = [1.0 + 2 * beep for beep in range(SECONDS // 2)]
SEGMENTS = 9
MP3 = ("-c:a", "libmp3lame", "-b:a", "64k")


@pytest.fixture(scope="session")
def album_track(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MP3 behind a tag of a hundred kilobytes: its cover."""
    return beeps(tmp_path_factory.mktemp("audio") / "track.mp3", SECONDS, *MP3, cover=True)


def joined(tools: Tools, folder: Path) -> Path:
    """Write the published rendition into a file."""
    rendition = Rendition.objects.get()
    path = folder / "joined.mp4"
    segments = b"".join(tools.store.get(segment.key) for segment in published_prefix(rendition))
    path.write_bytes(tools.store.get(rendition.init_key) + segments)
    return path


def test_an_mp3_with_a_cover_becomes_audio_alone(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, album_track: Path, tmp_path: Path
) -> None:
    job = pipeline.transcode(pipeline.upload(album_track), output_format="mp4", resolution="720p")
    runner.work("cpu")
    job.refresh_from_db()
    assert (job.state, job.error_detail, job.open_steps) == ("completed", "", 0)
    assert (job.metadata["gpu_enabled"], job.metadata["cpu_codec"]) == (False, "aac")
    assert job.metadata["processing_speed"] > 0

    video = Video.objects.get()
    media = video.media or {}
    assert {name: media[name] for name in ("codec", "width", "height", "frame_rate", "audio_codec")} == {
        "codec": "mp3",
        "width": None,
        "height": None,
        "frame_rate": None,
        "audio_codec": "mp3",
    }
    assert media["duration"] == pytest.approx(SECONDS, abs=0.1)
    assert "no_video" in {warning["code"] for warning in video.warnings}

    path = joined(tools, tmp_path)
    assert beep_seconds(path) == pytest.approx(BEEPS, abs=0.01)
    assert start_and_duration(path)[1] == pytest.approx(SECONDS, abs=0.1)
    mp4 = Asset.objects.get()
    assert (mp4.name, mp4.media_type, mp4.width) == ("audio", "audio/mp4", None)
    tools.store.fetch(mp4.key, tmp_path / "audio.mp4")
    assert beep_seconds(tmp_path / "audio.mp4") == pytest.approx(BEEPS, abs=0.01)

    generation = Generation.objects.get()
    assert generation_master(generation).splitlines()[-1] == "audio/index.m3u8"
    assert "RESOLUTION" not in generation_master(generation)
    assert 'contentType="video"' not in generation_dash(generation)


def test_it_is_playable_when_its_first_segments_are_published(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, album_track: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pipeline.transcode(pipeline.upload(album_track))
    tools.scratch.mkdir(exist_ok=True)
    runner.carry_out(claim_of_kind(tools, StepKind.INSPECT))
    claim = claim_of_kind(tools, StepKind.AUDIO)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(audio, "make_way", interrupted)  # called between the beginning and the rest
    with pytest.raises(KeyboardInterrupt):
        audio.run(step_begin(claim=claim), tools, StepControl(tools.draining))
    job.refresh_from_db()
    assert (job.state, job.playable_at is not None) == ("processing", True)
    assert Video.objects.get().current_generation_id == job.generation_id
    growing = rendition_playlist(Rendition.objects.get())
    assert growing.count(".m4s") == 2
    assert "EVENT" in growing
    assert 'type="dynamic"' in generation_dash(Generation.objects.get())
    types = list(Event.objects.filter(job_id=job.id).order_by("seq").values_list("type", flat=True))
    assert types == ["job.queued", "job.planned", "job.started", "job.playable"]

    # The worker is dead: another one goes on behind what was published.
    monkeypatch.undo()
    expire(claim.step_id)
    leases_reclaim(policy=tools.policy)
    runner.work("cpu")
    job.refresh_from_db()
    assert (job.state, job.error_detail) == ("completed", "")
    runs = list(SegmentRun.objects.order_by("first_segment").values_list("first_segment", "attempt"))
    assert (runs[0], runs[-1][1]) == ((0, 1), 2)
    assert len(published_prefix(Rendition.objects.get())) == SEGMENTS


def test_a_cancelled_job_is_retried_and_a_deleted_video_leaves_nothing(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, album_track: Path
) -> None:
    video = pipeline.upload(album_track)
    runner.work("cpu")
    job = pipeline.transcode(video)
    job_cancel(owner=job.owner, job_id=job.id)
    job_retry(owner=job.owner, job_id=job.id, policy=tools.policy)
    runner.work("cpu")
    job.refresh_from_db()
    assert (job.state, job.error_detail) == ("completed", "")
    video_delete(owner=video.owner, video_id=video.id)
    runner.work("cpu")
    assert list(tools.store.list(video_prefix(video.id))) == []


def test_a_large_mp4_is_inspected_and_started_in_parts(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working_copy, "SMALL_BYTES", 1 << 10)
    source = beeps(tmp_path / "book.m4a", SECONDS, *AAC)
    job = pipeline.transcode(pipeline.upload(source))
    runner.work("cpu")
    job.refresh_from_db()
    assert (job.state, job.error_detail) == ("completed", "")
    results = {step.kind: step.result or {} for step in Step.objects.all()}
    assert results["inspect"]["source_whole"] == ""
    assert results["audio"]["source_whole"] == "most of it is needed"  # once the first segments are published
    assert results["inspect"]["source_bytes"] < source.stat().st_size
    assert beep_seconds(joined(tools, tmp_path)) == pytest.approx(BEEPS, abs=0.01)
