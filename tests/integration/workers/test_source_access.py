"""How much of a source a job takes from the store, when every step has a cold cache."""

import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest

from jobs.models import Job, Step
from storage.errors import StorageError
from tests.ffmpeg.sources import AAC, Card, make
from tests.mill import Mill
from transcoding.media import SourceFacts
from transcoding.mp4_index import Mp4Index, Span
from transcoding.records import from_json
from videos.models import Video
from workers.runner import StepRunner
from workers.tools import Tools

CHUNK_SECONDS = 30
MOST_OF_THE_SOURCE = 1.25
CAMERA = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "50", "-b:v", "1500k", "-chunk_duration", "500000")
"""Half a second of picture, half a second of sound, as cameras and phones write; ffmpeg by itself turns to and fro."""
FINE = CAMERA[:-2]


@pytest.fixture(scope="session", params=[CAMERA, FINE], ids=["camera", "fine"])
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two and a half minutes."""
    card = Card(rate=Fraction(25), frames=3750, audio_filter="volume=1")
    return make(tmp_path_factory.mktemp("film") / "film.mp4", card, *request.param, *AAC)


def test_a_job_reads_little_more_than_its_source(tools: Tools, runner: StepRunner, mill: Mill, film: Path) -> None:
    video = mill.upload(film)
    runner.work("cpu")
    job = mill.transcode(video, chunk_seconds=CHUNK_SECONDS)
    runner.work("cpu")
    job.refresh_from_db()
    assert (job.state, job.error_detail) == ("completed", "")
    read = {f"{step.kind} {step.ordinal}": step.result for step in Step.objects.filter(video=video)}
    print(film.stat().st_size, read)
    assert not list(tools.scratch.iterdir())
    share = sum(result.get("source_bytes", 0) for result in read.values()) / film.stat().st_size
    print(f"{share:.3f} of the source")
    assert share <= MOST_OF_THE_SOURCE
