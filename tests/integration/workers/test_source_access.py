"""Bytes of a source that a job reads from the store when every step has a cold cache, and a retry with all of it."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import pytest

from jobs.models import Job, Step
from storage.keys import init_key
from storage.protocol import ObjectStore, StoredObject
from tests.ffmpeg.golden import shown_numbers
from tests.ffmpeg.sources import AAC, Card, make
from tests.pipeline_client import PipelineClient
from videos.models import SegmentRun, Video
from videos.selectors import run_segments
from workers.runner import StepRunner
from workers.tools import Tools

CHUNK_SECONDS = 30
MAX_SHARE_OF_THE_SOURCE = 1.25
TO_AND_FRO = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "50", "-b:v", "1500k")
"""A frame of video, two of audio, and so on, as ffmpeg writes."""
CAMERA = (*TO_AND_FRO, "-chunk_duration", "500000")
"""Half a second of video, half a second of audio, as cameras and phones write."""
SECONDS = 32
FIRST_AUDIO_SECONDS = 16
"""Two segments, and one that is encoded and one that is read along; of 90."""
AUDIO_STRETCHES_PER_SECOND = 25
"""Stretches of audio between two video frames, at most."""
OPENING_REQUESTS = 100
"""For the index and the first frames of the audio step, and for a chunk that may have been there first."""


def a_film(folder: Path, seconds: int, *options: str) -> Path:
    return make(folder / "film.mp4", Card(rate=Fraction(25), frames=25 * seconds), *options, *AAC)


@pytest.fixture(autouse=True)
def _small_sources_are_tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read a film of some megabytes in parts, as longer ones are."""
    monkeypatch.setattr("workers.source.working_copy.SMALL_BYTES", 4 << 20)


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(CAMERA, marks=pytest.mark.thorough, id="camera"),
        pytest.param(TO_AND_FRO, id="to_and_fro"),
    ],
)
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute and a half."""
    return a_film(tmp_path_factory.mktemp("film"), 90, *request.param)


@pytest.fixture(scope="session")
def short_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_film(tmp_path_factory.mktemp("short"), SECONDS, *CAMERA)


def results(video: Video) -> dict[str, dict[str, object]]:
    """Return the results of the steps that read the source."""
    steps = Step.objects.filter(video=video).exclude(kind="finish").order_by("kind", "ordinal")
    return {f"{step.kind} {step.ordinal}": step.result or {} for step in steps}


def numbers_shown(tools: Tools, folder: Path) -> list[int]:
    """Read the numbers of the frames that a viewer of the top rung sees."""
    runs = list(SegmentRun.objects.filter(rendition__name="180p").order_by("first_segment"))
    keys = [init_key(runs[0].key_prefix), *(segment.key for run in runs for segment in run_segments(run))]
    joined = folder / "joined.mp4"
    joined.write_bytes(b"".join(tools.store.get(key) for key in keys))
    return shown_numbers(joined)


def completed(job: Job) -> bool:
    job.refresh_from_db()
    return (job.state, job.error_detail) == ("completed", "")


class WatchedStore:
    """The real store, with counts of the reads until the first audio was stored, and of all reads."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.requests = 0
        self.requests_until_audio = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def open(self, key: str, start: int, end: int, *, etag: str) -> Iterator[bytes]:
        self.requests += 1
        return self._store.open(key, start, end, etag=etag)

    def put(self, key: str, data: bytes, content_type: str) -> StoredObject:
        if "/audio/" in key and not self.requests_until_audio:
            self.requests_until_audio = self.requests
        return self._store.put(key, data, content_type)


def test_a_job_reads_little_more_than_its_source_and_its_first_audio_early(
    tools: Tools, pipeline: PipelineClient, film: Path
) -> None:
    store = WatchedStore(tools.store)
    runner = StepRunner(replace(tools, store=cast("ObjectStore", store)))
    video = pipeline.upload(film)
    runner.work("cpu")
    job = pipeline.transcode(video, chunk_seconds=CHUNK_SECONDS)
    store.requests = 0
    runner.work("cpu")
    assert completed(job)
    print(f"\n{store.requests_until_audio} of {store.requests} requests until there is audio")  # noqa: T201 - to look at
    assert 0 < store.requests_until_audio <= FIRST_AUDIO_SECONDS * AUDIO_STRETCHES_PER_SECOND + OPENING_REQUESTS
    read = results(video)
    assert [result["source_whole"] for result in read.values()] == [""] * 5, "inspection, audio and three chunks"
    assert list(tools.scratch.iterdir()) == []
    share = sum(int(str(result["source_bytes"])) for result in read.values()) / film.stat().st_size
    print(f"\n{share:.3f} of {film.stat().st_size} bytes read: {read}")  # noqa: T201 - a figure to look at
    assert share <= MAX_SHARE_OF_THE_SOURCE


def test_a_hole_that_is_read_costs_another_reading_and_no_frame(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, short_film: Path, tmp_path: Path
) -> None:
    """An index that is five seconds wrong: chunks are read from and up to the wrong byte."""
    video = pipeline.upload(short_film)
    runner.work("cpu")
    video.refresh_from_db()
    facts = dict(video.facts or {})
    ticks = 5 * int(facts["video_stream"]["time_base"].partition("/")[2])
    Video.objects.filter(id=video.id).update(facts={**facts, "sample_shift": facts["sample_shift"] + ticks})
    job = pipeline.transcode(video, chunk_seconds=8)
    runner.work("cpu")
    assert completed(job)
    assert numbers_shown(tools, tmp_path) == list(range(25 * SECONDS))
    read = results(video)
    assert str(read["chunk 0"]["source_whole"]).startswith("ffmpeg says:")
    assert not Step.objects.filter(failures__gt=0).exists()
    # Once one step of this machine has fetched all of it, the others have it for nothing.
    assert "it is on this machine" in {result["source_whole"] for result in read.values()}


def test_a_source_that_is_replaced_is_not_mixed_with_the_one_that_was_inspected(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, short_film: Path
) -> None:
    video = pipeline.upload(short_film)
    runner.work("cpu")
    job = pipeline.transcode(video, chunk_seconds=8)
    tools.store.put(video.source_key, short_film.read_bytes()[::-1], "video/mp4")
    runner.work("cpu")
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("failed", "input_changed")


def test_a_small_source_is_read_whole_and_once(runner: StepRunner, pipeline: PipelineClient, clip: Path) -> None:
    video = pipeline.upload(clip)
    job = pipeline.transcode(video)
    runner.work("cpu")
    assert completed(job)
    read = results(video)
    assert {result["source_whole"] for result in read.values()} == {"it is small"}
    assert sum(int(str(result["source_bytes"])) for result in read.values()) == clip.stat().st_size


def test_sources_of_other_kinds_are_read_whole_and_once(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, tmp_path: Path
) -> None:
    mkv = make(tmp_path / "film.mkv", Card(rate=Fraction(25), frames=25 * SECONDS), *TO_AND_FRO, *AAC)
    video = pipeline.upload(mkv)
    job = pipeline.transcode(video, chunk_seconds=8)
    runner.work("cpu")
    assert completed(job)
    read = results(video)
    assert read["inspect 0"]["source_whole"] == "the file is no MP4"
    assert {result["source_whole"] for name, result in read.items() if name != "inspect 0"} == {
        "its index is not relied on"
    }
    total = sum(int(str(result["source_bytes"])) for result in read.values())
    assert total <= mkv.stat().st_size + 4096, "its first bytes, and then all of it, by the first step"
