"""The checksum that a client promised, compared by a step of a worker."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from access.services import default_owner
from events.models import Event
from jobs.lifecycle.services import job_create, video_delete
from jobs.models import Job, Step
from jobs.wiring import on_upload_recorded
from storage.keys import video_prefix
from videos.models import Upload, Video
from videos.uploads.limits import OpenLimits
from videos.uploads.services import UploadLabels, multipart_open, upload_complete, upload_create
from workers.runner import StepRunner
from workers.tools import Tools

LIMITS = OpenLimits(max_bytes=1 << 30)


def uploaded(tools: Tools, path: Path, sha256: str) -> Upload:
    owner, data = default_owner(), path.read_bytes()
    slot = multipart_open(owner=owner, size_bytes=len(data), store=tools.store, limits=LIMITS)
    labels = UploadLabels(filename="clip.mp4", sha256=sha256)
    upload = upload_create(owner=owner, slot=slot, size_bytes=len(data), labels=labels, limits=LIMITS)
    tools.store.put_part(upload.key, upload.multipart_id, 1, data)
    return upload_complete(
        owner=owner,
        upload_id=upload.id,
        store=tools.store,
        etags={},
        look=lambda _stored, _family: None,
        recorded=on_upload_recorded,
    )


def a_job_of(video: Video, tools: Tools) -> Job:
    return job_create(owner=video.owner, video_id=video.id, request={"codec": "h264"}, priority=50, policy=tools.policy)


def test_the_right_file_is_inspected_and_jobs_wait_for_that(tools: Tools, runner: StepRunner, clip: Path) -> None:
    upload = uploaded(tools, clip, hashlib.sha256(clip.read_bytes()).hexdigest())
    video = Video.objects.get(id=upload.video_id)
    assert (upload.state, video.state) == ("verifying", "verifying")
    assert list(Step.objects.values_list("kind", flat=True)) == ["verify"]
    assert not Event.objects.exists()
    job = a_job_of(video, tools)
    assert Step.objects.count() == 1
    runner.work("cpu")
    for row in (upload, video, job):
        row.refresh_from_db()
    assert (upload.state, video.state, video.sha256, job.state) == (
        "ready",
        "ready",
        hashlib.sha256(clip.read_bytes()).hexdigest(),
        "completed",
    )
    types = list(Event.objects.filter(video_id=video.id, job_id=None).order_by("id").values_list("type", flat=True))
    assert types[:2] == ["video.uploaded", "video.ready"]


def test_another_file_is_rejected_and_removed(tools: Tools, runner: StepRunner, clip: Path) -> None:
    upload = uploaded(tools, clip, "0" * 64)
    video = Video.objects.get(id=upload.video_id)
    job = a_job_of(video, tools)
    runner.work("cpu")
    for row in (upload, video, job):
        row.refresh_from_db()
    assert (upload.state, upload.error_code) == ("failed", "checksum_mismatch")
    assert (video.state, video.error_code) == ("rejected", "checksum_mismatch")
    assert hashlib.sha256(clip.read_bytes()).hexdigest() in video.error_detail
    assert (job.state, job.error_code) == ("failed", "checksum_mismatch")
    assert list(tools.store.list(video_prefix(video.id))) == []
    assert list(Event.objects.filter(job_id=None).values_list("type", flat=True)) == ["video.rejected"]


def test_a_file_that_was_replaced_is_not_taken_for_the_right_one(tools: Tools, runner: StepRunner, clip: Path) -> None:
    upload = uploaded(tools, clip, hashlib.sha256(clip.read_bytes()).hexdigest())
    tools.store.put(upload.key, b"another", "video/mp4")
    runner.work("cpu")
    video = Video.objects.get(id=upload.video_id)
    assert (video.state, video.error_code) == ("verifying", "input_changed")


def test_a_video_that_is_deleted_before_ends_its_upload(tools: Tools, runner: StepRunner, clip: Path) -> None:
    upload = uploaded(tools, clip, "0" * 64)
    video_delete(owner=default_owner(), video_id=upload.video_id)
    runner.work("cpu")
    upload.refresh_from_db()
    assert upload.state == "aborted"
    assert list(tools.store.list(video_prefix(upload.video_id))) == []


@pytest.fixture(autouse=True)
def _empty(tools: Tools) -> None:
    tools.store.delete_prefix("videos/")
