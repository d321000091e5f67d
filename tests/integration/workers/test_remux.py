"""Progressive MP4s: made of published segments, verified, stored once, and unaffected by lost attempts."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import connection

from execution.ffmpeg import Stopped
from jobs.leasing.claim import Claim, step_claim
from jobs.leasing.leases import LeaseLost
from jobs.leasing.steps import step_begin
from jobs.lifecycle.failures import leases_reclaim
from jobs.lifecycle.services import job_cancel
from jobs.models import Job, Step
from jobs.rules.steps import StepKind
from storage.keys import MP4_NAME, asset_key, run_prefix, video_prefix
from tests.ffmpeg.golden import beep_seconds, shown_numbers
from tests.pipeline_client import PipelineClient
from tests.rows import expire
from transcoding.errors import VerificationFailed
from videos.models import Asset, Rendition, SegmentRun
from videos.selectors import published_prefix
from workers.lease.control import StepControl
from workers.runner import StepRunner
from workers.steps import remux
from workers.tools import Tools


def mp4s(tools: Tools, job: Job) -> list[str]:
    return [stored.key for stored in tools.store.list(video_prefix(job.video_id)) if stored.key.endswith(MP4_NAME)]


@pytest.fixture
def encoded(tools: Tools, runner: StepRunner, pipeline: PipelineClient, clip: Path) -> Job:
    """A job of which everything is encoded and nothing is remuxed."""
    job = pipeline.transcode(pipeline.upload(clip), output_format="mp4")
    while (
        Step.objects.exclude(state="done").exclude(kind__in=("remux", "finish")).exists() or not Step.objects.exists()
    ):
        claim = a_claim(tools)
        runner.carry_out(claim)
    job.refresh_from_db()
    assert list(Step.objects.filter(kind="remux").values_list("state", flat=True)) == ["ready"]
    assert Step.objects.get(kind="finish").state == "waiting"
    return job


def a_claim(tools: Tools) -> Claim:
    claim = step_claim(queue="cpu", node="node-1", pid=1, lease_seconds=60)
    assert claim is not None
    return claim


def carry_out(claim: Claim, tools: Tools) -> None:
    remux.run(step_begin(claim=claim), tools, StepControl(tools.draining))


def test_an_mp4_has_every_frame_and_the_audio_in_step(
    tools: Tools, runner: StepRunner, encoded: Job, tmp_path: Path
) -> None:
    runner.work("cpu")
    encoded.refresh_from_db()
    assert (encoded.state, encoded.error_detail, encoded.open_steps) == ("completed", "", 0)
    asset, rendition = Asset.objects.get(), Rendition.objects.get(kind="video")
    assert (asset.kind, asset.name, asset.rendition_id) == ("mp4", "180p", rendition.id)
    assert (asset.media_type, asset.language, asset.duration) == ("video/mp4", "", 13.0)
    assert (asset.width, asset.height) == (rendition.width, rendition.height)
    assert mp4s(tools, encoded) == [asset.key]
    path = tmp_path / "progressive.mp4"
    assert tools.store.fetch(asset.key, path).size == asset.size_bytes
    assert hashlib.sha256(path.read_bytes()).hexdigest() == asset.sha256
    assert shown_numbers(path) == list(range(325))
    assert beep_seconds(path) == pytest.approx([1.0 + 2 * beep for beep in range(6)], abs=1 / 25)
    assert not list(tools.scratch.iterdir())


def test_no_mp4_is_made_unless_it_was_requested(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, clip: Path
) -> None:
    job = pipeline.transcode(pipeline.upload(clip), output_format="hls")
    runner.work("cpu")
    job.refresh_from_db()
    assert job.state == "completed"
    assert not Step.objects.filter(kind="remux").exists()
    assert mp4s(tools, job) == []


def test_sizes_and_checksums_are_those_of_the_stored_bytes(tools: Tools, runner: StepRunner, encoded: Job) -> None:
    runner.work("cpu")
    for rendition in Rendition.objects.all():
        keys = [rendition.init_key, *(segment.key for segment in published_prefix(rendition))]
        objects = [tools.store.get(key) for key in keys]
        lines = "".join(f"{hashlib.sha256(data).hexdigest()}\n" for data in objects)
        assert rendition.size_bytes == sum(len(data) for data in objects)
        assert rendition.sha256 == hashlib.sha256(lines.encode()).hexdigest()


def test_a_lost_lease_leaves_no_mp4_behind(tools: Tools, encoded: Job) -> None:
    claim = a_claim(tools)
    work = step_begin(claim=claim)
    Step.objects.filter(id=claim.step_id).update(attempt=claim.attempt + 1)
    with pytest.raises(LeaseLost):
        remux.run(work, tools, StepControl(tools.draining))
    assert mp4s(tools, encoded) == []
    assert not Asset.objects.exists()
    assert not list(tools.scratch.iterdir())


def test_another_attempt_makes_another_object(tools: Tools, runner: StepRunner, encoded: Job) -> None:
    claim = a_claim(tools)
    control = StepControl(tools.draining)
    tools.draining.set()
    with pytest.raises(Stopped):
        remux.run(step_begin(claim=claim), tools, control)
    tools.draining.clear()
    assert mp4s(tools, encoded) == []
    expire(claim.step_id)
    leases_reclaim(policy=tools.policy)
    runner.work("cpu")
    encoded.refresh_from_db()
    assert encoded.state == "completed"
    (key,) = mp4s(tools, encoded)
    assert f"{claim.step_id}-a2/" in key


def test_what_a_lost_attempt_stored_is_cleared_away(tools: Tools, runner: StepRunner, encoded: Job) -> None:
    lost = asset_key(run_prefix(encoded.video_id, 1, "180p", uuid4(), 1), MP4_NAME)
    tools.store.put(lost, b"a worker was killed after it stored this", "video/mp4")
    runner.work("cpu")
    assert mp4s(tools, encoded) == [Asset.objects.get().key]


def test_the_second_call_after_an_unknown_commit_is_quiet(tools: Tools, encoded: Job) -> None:
    claim = a_claim(tools)
    work = step_begin(claim=claim)
    remux.run(work, tools, StepControl(tools.draining))
    remux.run(work, tools, StepControl(tools.draining))
    encoded.refresh_from_db()
    assert encoded.open_steps == 0
    assert Step.objects.get(kind="finish").state == "ready"
    assert len(mp4s(tools, encoded)) == 1


def test_a_segment_that_changed_in_the_store_is_noticed(tools: Tools, encoded: Job) -> None:
    segment = published_prefix(Rendition.objects.get(kind="video"))[2]
    data = bytearray(tools.store.get(segment.key))
    data[-1] ^= 1
    tools.store.put(segment.key, bytes(data), "video/mp4")
    with pytest.raises(VerificationFailed, match="is not what was published"):
        carry_out(a_claim(tools), tools)
    assert mp4s(tools, encoded) == []


def test_a_segment_that_is_missing_from_the_rows_is_noticed(tools: Tools, runner: StepRunner, encoded: Job) -> None:
    SegmentRun.objects.filter(rendition__kind="video").order_by("-first_segment")[0].delete()
    runner.work("cpu")
    encoded.refresh_from_db()
    assert encoded.state == "failed"


def test_an_mp4_that_is_gone_is_noticed_at_the_end(tools: Tools, runner: StepRunner, encoded: Job) -> None:
    carry_out(a_claim(tools), tools)
    tools.store.delete(mp4s(tools, encoded))
    runner.work("cpu")
    encoded.refresh_from_db()
    assert (encoded.state, encoded.error_code) == ("failed", "object_not_found")


def test_a_cancelled_remux_stops(tools: Tools, runner: StepRunner, encoded: Job) -> None:
    claim = a_claim(tools)
    assert claim.kind is StepKind.REMUX

    def cancel_it() -> None:
        job_cancel(owner=encoded.owner, job_id=encoded.id)
        connection.close()

    cancel = threading.Thread(target=cancel_it)
    cancel.start()
    cancel.join()
    runner.carry_out(claim)
    encoded.refresh_from_db()
    assert encoded.state == "cancelled"
    assert Step.objects.get(kind="remux").state == "cancelled"
    assert mp4s(tools, encoded) == []
