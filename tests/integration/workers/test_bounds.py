"""Bounds of a step: frames that grow behind the header, and the time that a step may take."""

from dataclasses import replace
from pathlib import Path

import pytest

from configuration import LimitConfig
from execution.ffmpeg import FfmpegRunner
from execution.ffprobe import Ffprobe
from jobs.models import Step
from tests.ffmpeg.sources import H264, run
from tests.pipeline_client import PipelineClient
from videos.models import SegmentRun
from workers.runner import StepRunner
from workers.tools import Tools


def bounded(tools: Tools, **limits: int) -> Tools:
    config = replace(tools.config, limits=LimitConfig(**limits))
    ffmpeg, ffprobe = FfmpegRunner(config.execution, config.limits), Ffprobe(config.execution, config.limits)
    return replace(tools, config=config, ffmpeg=ffmpeg, ffprobe=ffprobe)


def test_frames_that_become_too_large_in_mid_stream_fail_the_job(tools: Tools, tmp_path: Path) -> None:
    """With the proportions of 4K and 16k frames."""
    small, large = (tmp_path / f"{name}.ts" for name in ("small", "large"))
    for path, size, start in ((small, "128x64", "0"), (large, "512x256", "4")):
        source = ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25", "-frames:v", "100")
        run([*source, *H264, "-output_ts_offset", start, f"file:{path}"])
    grown = tmp_path / "grown.ts"
    grown.write_bytes(small.read_bytes() + large.read_bytes())
    tools = bounded(tools, max_pixels=128 * 64)
    pipeline = PipelineClient(tools)
    job = pipeline.transcode(pipeline.upload(grown))
    StepRunner(tools).work("cpu")
    job.refresh_from_db()
    assert (job.state, job.error_code, job.error_retryable) == ("failed", "input_rejected", False)
    assert job.error_detail == "the video's frames become 512x256, which is more than is allowed"


def test_more_frames_per_second_than_cameras_have_are_rejected(tools: Tools, tmp_path: Path) -> None:
    fast = tmp_path / "fast.mp4"
    times = ("-vf", "settb=1/120000,setpts=N", "-fps_mode", "passthrough", "-enc_time_base:v", "1:120000")
    source = ("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25", "-frames:v", "600")
    run([*source, *times, "-video_track_timescale", "120000", *H264, f"file:{fast}"])
    pipeline = PipelineClient(tools)
    video = pipeline.upload(fast)
    StepRunner(tools).work("cpu")
    video.refresh_from_db()
    assert (video.state, video.error_code) == ("rejected", "input_rejected")
    assert "the video has 120000 frames per second; 240 frames per second are allowed" in video.error_detail


@pytest.mark.parametrize("seconds", [0, 3600], ids=["over", "within"])
def test_a_chunk_that_has_had_its_time_continues_in_its_turn(tools: Tools, clip: Path, seconds: int) -> None:
    """Time that is over at once: an attempt ends with what it has published first, and is not charged."""
    tools = bounded(tools, max_step_seconds=seconds or 1)
    tools = replace(tools, config=replace(tools.config, limits=LimitConfig(max_step_seconds=seconds)))
    pipeline = PipelineClient(tools)
    video = pipeline.upload(clip)
    StepRunner(tools).work("cpu")
    video.refresh_from_db()
    job = pipeline.transcode(video, chunk_seconds=20)
    StepRunner(tools).work("cpu")
    job.refresh_from_db()
    assert (job.state, job.error_detail) == ("completed", "")
    (step,) = Step.objects.filter(job=job, kind="chunk")
    assert (step.attempt > 1) == (seconds == 0)
    assert step.failures == 0
    assert sum(each.segment_count for each in SegmentRun.objects.filter(rendition__name="180p")) == step.units_total
