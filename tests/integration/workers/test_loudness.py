"""Loudness that an upload requested, measured by the real inspection of a tone whose loudness is known."""

from pathlib import Path

import pytest

from tests.ffmpeg.sources import AAC, run
from tests.pipeline_client import PipelineClient
from videos.models import Video
from workers.runner import StepRunner

SINE_LUFS = -21.0
"""Of ffmpeg's `sine`, a 1 kHz tone in one channel with an amplitude of an eighth: -18 dBFS, and 3 less of its RMS."""


@pytest.mark.parametrize("extension", ["mp4", "ts"])
def test_loudness_is_measured_where_it_was_requested(
    runner: StepRunner, pipeline: PipelineClient, tmp_path: Path, extension: str
) -> None:
    path = tmp_path / f"tone.{extension}"
    inputs = ["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=4"]
    inputs += ["-f", "lavfi", "-i", "sine=1000:sample_rate=48000:duration=4"]
    run([*inputs, "-c:v", "libx264", "-preset", "ultrafast", *AAC, f"file:{path}"])
    measured, other = pipeline.upload(path), pipeline.upload(path)
    Video.objects.filter(id=measured.id).update(measure_loudness=True)
    for video in (measured, other):
        pipeline.transcode(video)
    runner.work("cpu")
    for video in (measured, other):
        video.refresh_from_db()
    assert measured.media is not None
    assert other.media is not None
    loudness = measured.media["loudness"]
    assert loudness["integrated"] == pytest.approx(SINE_LUFS, abs=1)
    assert loudness["true_peak"] == pytest.approx(-18, abs=1)
    assert other.media["loudness"] is None
