"""Jobs with the image of a watermark, carried out by one worker process on a real database, store and ffmpeg."""

import subprocess
from pathlib import Path

import pytest

from jobs.models import Job
from tests.ffmpeg.sources import FFMPEG
from tests.pipeline_client import PipelineClient
from tests.unit.transcoding.test_images import a_png
from videos.models import Video
from videos.watermarks.services import watermark_create, watermark_delete
from workers.runner import StepRunner
from workers.tools import Tools


@pytest.fixture
def logo(tmp_path: Path) -> bytes:
    path = tmp_path / "logo.png"
    drawn = ("-f", "lavfi", "-i", "color=white@0.5:size=64x32,format=rgba", "-frames:v", "1")
    subprocess.run([FFMPEG, "-v", "error", *drawn, f"file:{path}"], check=True)
    return path.read_bytes()


def _run(pipeline: PipelineClient, runner: StepRunner, clip: Path, data: bytes, *, delete: bool) -> tuple[Job, Video]:
    video = pipeline.upload(clip)
    runner.work("cpu")
    image = watermark_create(owner=video.owner, data=data)
    job = pipeline.transcode(video, resolution="240p", watermark={"image": str(image.id)})
    if delete:
        assert watermark_delete(owner=video.owner, image_id=image.id)
    runner.work("cpu")
    job.refresh_from_db()
    video.refresh_from_db()
    return job, video


def test_a_job_ends_well_though_its_image_was_deleted(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, clip: Path, logo: bytes
) -> None:
    job, _ = _run(pipeline, runner, clip, logo, delete=True)
    assert (job.state, job.error_detail) == ("completed", "")
    assert not list(tools.scratch.glob("watermark-*"))


def test_an_image_that_cannot_be_decoded_fails_the_job_and_spares_the_video(
    runner: StepRunner, pipeline: PipelineClient, clip: Path
) -> None:
    job, video = _run(pipeline, runner, clip, a_png(), delete=False)
    assert (job.state, job.error_code, job.error_retryable) == ("failed", "image_unknown", False)
    assert "cannot be decoded" in job.error_detail
    assert video.state == "ready"
