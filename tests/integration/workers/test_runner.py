"""Whole jobs and broken ones, carried out by one worker process on a real database, store and ffmpeg."""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pytest
from django.db import connection

from configuration import WorkerConfig
from events.models import Event
from execution.ffmpeg import Stopped
from jobs.leasing.nodes import node_register
from jobs.leasing.steps import step_begin
from jobs.lifecycle.failures import leases_reclaim
from jobs.lifecycle.services import job_cancel, video_delete
from jobs.models import Step
from jobs.rules.steps import StepKind
from storage.keys import generation_prefix, video_prefix
from storage.protocol import Bytes, ObjectStore, StoredObject
from tests.ffmpeg.golden import shown_numbers
from tests.ffmpeg.sources import converted, run
from tests.integration.workers.claims import claim_of_kind
from tests.pipeline_client import PipelineClient
from tests.rows import a_bare_job, a_step, a_video, expire
from transcoding.containers.boxes import iterate_boxes
from transcoding.containers.fragments import read_fragment
from videos.models import Rendition, SegmentRun, Video
from videos.selectors import run_keyframes, run_segments
from workers.lease.control import StepControl
from workers.runner import StepRunner
from workers.steps import chunk
from workers.tools import Tools


def objects(tools: Tools, video: Video) -> list[str]:
    return [stored.key for stored in tools.store.list(video_prefix(video.id))]


def test_a_job_goes_through(tools: Tools, runner: StepRunner, pipeline: PipelineClient, clip: Path) -> None:
    video = pipeline.upload(clip)
    job = pipeline.transcode(video)
    runner.work("cpu")
    job.refresh_from_db()
    assert (job.state, job.error_detail) == ("completed", "")
    video.refresh_from_db()
    assert video.state == "ready"
    assert video.current_generation_id == job.generation_id
    renditions = Rendition.objects.filter(generation=job.generation_id)
    assert {rendition.state for rendition in renditions} == {"completed"}
    assert sum(run.segment_count for run in SegmentRun.objects.filter(rendition__name="180p")) == 4
    assert not list(tools.scratch.iterdir())
    types = Event.objects.filter(job_id=job.id).order_by("seq").values_list("type", flat=True)
    assert list(types) == ["job.queued", "job.planned", "job.started", "job.playable", "job.completed"]


def test_every_published_segment_is_stored_with_the_digest_that_its_row_says(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, clip: Path
) -> None:
    pipeline.transcode(pipeline.upload(clip))
    runner.work("cpu")
    segments = [segment for run in SegmentRun.objects.all() for segment in run_segments(run)]
    assert len(segments) == 8, "four of the video and four of the audio"
    for segment in segments:
        assert hashlib.sha256(tools.store.get(segment.key)).hexdigest() == segment.digest


def test_the_key_frames_of_published_segments_are_byte_ranges_of_them(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, clip: Path, tmp_path: Path
) -> None:
    pipeline.transcode(pipeline.upload(clip))
    runner.work("cpu")
    rendition = Rendition.objects.get(kind="video")
    shown: list[int] = []
    for published in rendition.runs.order_by("first_segment"):
        for segment, keyframes in zip(run_segments(published), run_keyframes(published), strict=True):
            for keyframe in keyframes:
                part = tools.store.get(segment.key, keyframe.offset, keyframe.offset + keyframe.size)
                assert_ends_with_its_first_sample(part, rest=tools.store.get(segment.key, keyframe.offset))
                alone = tmp_path / "alone.mp4"
                alone.write_bytes(tools.store.get(rendition.init_key) + part)
                shown += shown_numbers(alone)
                assert shown[-1] == 100 * segment.number + keyframe.ticks // 1000
    assert shown == [0, 50, 100, 150, 200, 250, 300]
    sizes = [size for run in rendition.runs.all() for size in run.keyframe_sizes or ()]
    seconds = sum(ticks for run in rendition.runs.all() for ticks in run.durations) / rendition.timescale
    assert rendition.keyframe_avg_bitrate == pytest.approx(sum(sizes) * 8 / seconds, abs=1)
    last = (sizes[-2] + sizes[-1]) * 8 / (seconds - 10), "the last one is shown for less than the 2 s of the others"
    assert rendition.keyframe_peak_bitrate == pytest.approx(max(max(sizes) * 8 / 2, last[0]), abs=1), last[1]
    assert {len(run_keyframes(audio)) for audio in SegmentRun.objects.filter(rendition__kind="audio")} == {0}


def assert_ends_with_its_first_sample(part: bytes, *, rest: bytes) -> None:
    """Read the boxes independently: a `moof`, whose first sample is a sync sample, and that sample to its last byte."""
    moof, mdat = islice(iterate_boxes(rest), 2)
    assert (moof.kind, mdat.kind) == ("moof", "mdat")
    whole = 16 + len(moof.payload) + len(mdat.payload)
    first, *others = read_fragment(moof.payload, rest[:whole]).samples
    assert first.sync
    assert not any(sample.sync for sample in others)
    assert part == rest[: 16 + len(moof.payload) + first.size]


class AtFirstSegment:
    """A store that does something before it takes the first segment of any kind."""

    def __init__(self, store: ObjectStore, action: Callable[[], None]) -> None:
        self._store = store
        self._action = action
        self._lock = threading.Lock()
        self._done = False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        return getattr(self._store, name)

    def put(self, key: str, data: Bytes, content_type: str) -> StoredObject:
        with self._lock:
            if key.endswith(".m4s") and not self._done:
                self._done = True
                self._action()
        return self._store.put(key, data, content_type)


def at_first_segment(tools: Tools, action: Callable[[], None]) -> StepRunner:
    store = cast("ObjectStore", AtFirstSegment(tools.store, action))
    return StepRunner(replace(tools, store=store))


def drain_after_first_publish(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let uploads of later segments wait until the first one of the video is published, and then drain the node."""
    put = tools.store.put

    def waiting_put(key: str, data: bytes | bytearray, content_type: str) -> StoredObject:
        if key.endswith(".m4s") and not key.endswith("/0.m4s"):
            deadline = time.monotonic() + 120
            while not SegmentRun.objects.filter(rendition__kind="video").exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            connection.close()
            tools.draining.set()
        return put(key, data, content_type)

    monkeypatch.setattr(tools.store, "put", waiting_put)


def test_a_retry_goes_on_from_the_first_unpublished_segment(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = pipeline.upload(clip)
    runner.work("cpu")
    job = pipeline.transcode(video, chunk_seconds=60)
    claim = claim_of_kind(tools, StepKind.CHUNK)
    with monkeypatch.context() as held:
        drain_after_first_publish(tools, held)
        with pytest.raises(Stopped):
            chunk.run(step_begin(claim=claim), tools, StepControl(tools.draining))
    published = sum(run.segment_count for run in SegmentRun.objects.filter(rendition__kind="video"))
    assert published == 1
    tools.draining.clear()
    expire(claim.step_id)
    leases_reclaim(policy=tools.policy)
    runner.work("cpu")
    job.refresh_from_db()
    assert (job.state, job.error_detail) == ("completed", "")
    runs = SegmentRun.objects.filter(rendition__kind="video").order_by("first_segment")
    assert {run.attempt for run in runs} == {1, 2}
    referenced = {segment.key for run in SegmentRun.objects.all() for segment in run_segments(run)}
    referenced |= set(Rendition.objects.values_list("init_key", flat=True))
    stored_keys = {stored.key for stored in tools.store.list(generation_prefix(video.id, 1))}
    assert stored_keys == referenced, "what the first attempt uploaded and did not publish is gone"
    assert min(run.first_segment for run in runs if run.attempt == 2) == published
    assert Step.objects.get(id=claim.step_id).failures == 0


def test_a_cancelled_step_stops_and_leaves_nothing_unpublished(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, clip: Path
) -> None:
    video = pipeline.upload(clip)
    runner.work("cpu")
    job = pipeline.transcode(video)

    def cancel_it() -> None:
        job_cancel(owner=job.owner, job_id=job.id)
        connection.close()

    at_first_segment(tools, cancel_it).work("cpu")
    job.refresh_from_db()
    assert job.state == "cancelled"
    published = {segment.key for run in SegmentRun.objects.all() for segment in run_segments(run)}
    assert {key for key in objects(tools, video) if key.endswith(".m4s")} <= published
    assert not Step.objects.filter(state="running").exists()


def test_a_file_that_turns_out_bad_later_is_rejected_and_leaves_nothing(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(range(256)) * 40)
    video = pipeline.upload(bad)
    job = pipeline.transcode(video)
    runner.work("cpu")
    job.refresh_from_db()
    video.refresh_from_db()
    assert (job.state, job.error_code) == ("failed", "input_rejected")
    assert (video.state, video.error_code) == ("rejected", "input_rejected")
    _purge(runner)
    assert objects(tools, video) == []


def test_a_codec_that_nobody_has_a_decoder_for_is_rejected(
    runner: StepRunner, pipeline: PipelineClient, clip: Path, tmp_path: Path
) -> None:
    stills = tmp_path / "stills.mov"
    run(["-i", f"file:{clip}", "-an", "-frames:v", "50", "-c:v", "jpeg2000", f"file:{stills}"])
    job = pipeline.transcode(pipeline.upload(stills))
    runner.work("cpu")
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("failed", "input_rejected")
    assert "jpeg2000 is not among the codecs" in job.error_detail


def test_a_file_cut_in_half_is_rejected(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, clip: Path, tmp_path: Path
) -> None:
    half = tmp_path / "half.mp4"
    fast = converted(clip, tmp_path / "fast.mp4", ["-movflags", "+faststart"])
    half.write_bytes(fast.read_bytes()[: fast.stat().st_size // 2])
    job = pipeline.transcode(pipeline.upload(half))
    runner.work("cpu")
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("failed", "input_corrupt")
    assert "truncated" in job.error_detail


def test_a_source_that_is_gone_fails_the_job_without_a_retry(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, clip: Path
) -> None:
    video = pipeline.upload(clip)
    job = pipeline.transcode(video)
    tools.store.delete([video.source_key])
    runner.work("cpu")
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("failed", "input_changed")


def test_deleting_a_video_removes_every_object(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, clip: Path
) -> None:
    video = pipeline.upload(clip)
    pipeline.transcode(video)
    runner.work("cpu")
    assert len(objects(tools, video)) > 8
    video_delete(owner=video.owner, video_id=video.id)
    _purge(runner)
    assert objects(tools, video) == []
    video.refresh_from_db()
    assert video.state == "deleted"


def test_a_draining_worker_releases_its_steps_uncharged(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, clip: Path
) -> None:
    video = pipeline.upload(clip)
    runner.work("cpu")
    job = pipeline.transcode(video)
    at_first_segment(tools, tools.draining.set).work("cpu")
    assert not Step.objects.filter(state="running").exists()
    assert not Step.objects.filter(failures__gt=0).exists()
    tools.draining.clear()
    runner.work("cpu")
    job.refresh_from_db()
    assert job.state == "completed"


def test_a_database_that_closes_connections_costs_no_attempt(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, clip: Path
) -> None:
    video = pipeline.upload(clip)
    runner.work("cpu")
    job = pipeline.transcode(video)
    over = threading.Event()

    def disturb() -> None:
        """Close connections often enough to hit every kind of step, but not for ever: a slow machine must finish."""
        try:
            for _ in range(10):
                if over.wait(0.3):
                    break
                with connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
        finally:
            connection.close()

    disturber = threading.Thread(target=disturb)
    disturber.start()
    deadline = time.monotonic() + 300
    try:
        while time.monotonic() < deadline:
            try:
                runner.work("cpu")
                job.refresh_from_db()
            except Exception:  # noqa: BLE001 - the claim itself may be cut off; the next ticket claims again
                connection.close()
                continue
            if job.state in ("completed", "failed"):
                break
            for lost in Step.objects.filter(state="running"):  # the claim arrived, and its answer did not
                expire(lost.id)
            leases_reclaim(policy=tools.policy)
    finally:
        over.set()
        disturber.join()
    connection.close()
    job.refresh_from_db()
    assert (job.state, job.error_detail) == ("completed", "")
    assert not Step.objects.filter(failures__gt=0).exists()


def _purge(runner: StepRunner) -> None:
    """Let the purge step come due: it waits for the leases of cancelled steps."""
    Step.objects.filter(kind="purge", state="delayed").update(state="ready", not_before=None)
    runner.work("cpu")


def test_a_process_that_serves_two_queues_takes_turns(tools: Tools) -> None:
    job = a_bare_job(a_video())
    for ordinal in range(6):
        a_step(job, ordinal=ordinal, queue="cpu" if ordinal < 4 else "transfer")

    def served(runner: StepRunner, queue: str, *, count: int) -> list[str]:
        claims = islice(iter(lambda: runner._claim(queue), None), count)
        return [Step.objects.get(id=claim.step_id).queue for claim in claims if claim]

    alone = StepRunner(replace(tools, config=replace(tools.config, worker=WorkerConfig(worker_queue="cpu"))))
    assert served(alone, "cpu", count=1) == ["cpu"]
    node_register(name=tools.node, queues=["cpu", "transfer"], slots=4, pid=1, info={})
    both = StepRunner(tools)
    assert served(both, "transfer", count=9) == ["cpu", "transfer", "cpu", "transfer", "cpu"]
