"""Jobs of sources without video: their plans, progress, budget and deletion, and no GPU."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.test import Client

from configuration import GpuConfig
from jobs.leasing.claim import Claim
from jobs.leasing.steps import step_begin, step_complete, step_publish
from jobs.lifecycle.services import job_cancel, job_retry
from jobs.models import Job, Step
from jobs.reports.selectors import job_views, jobs_of
from jobs.rules.transitions import JobPhase, JobState
from tests.integration.jobs.test_outputs import measured
from tests.rows import a_job, a_policy, a_run, an_audio_file, an_mp4, claimed
from videos.assets.services import assets_publish
from videos.models import Asset, Generation, Rendition
from videos.services import generation_complete

pytestmark = pytest.mark.django_db


def ask(client: Client, **body: object) -> tuple[int, dict[str, Any]]:
    path = f"/api/v1/videos/{an_audio_file().id}/transcode"
    answer = client.post(path, data=json.dumps(body), content_type="application/json")
    return answer.status_code, answer.json()


def published(claim: Claim, *, first_segment: int, segments: int) -> None:
    """Begin a claimed step, and publish segments of its only rendition."""
    (rendition,) = step_begin(claim=claim).renditions
    runs = [a_run(rendition, first_segment, segments)]
    step_publish(claim=claim, runs=runs, units_done=first_segment + segments)


def test_a_job_has_a_step_for_the_audio_and_one_to_finish() -> None:
    job = a_job(an_audio_file())
    assert list(Step.objects.order_by("kind").values_list("kind", "state", "units_total", "queue", "sessions")) == [
        ("audio", "ready", 10, "cpu", 0),
        ("finish", "waiting", 0, "cpu", 0),
    ]
    assert list(Rendition.objects.values_list("name", "kind", "total_segments")) == [("audio", "audio", 10)]
    assert (job.phase, job.open_steps, job.work_seconds) == (JobPhase.PLANNED, 1, 1.0)


def test_an_mp4_is_another_step() -> None:
    a_job(an_audio_file(), output_format="mp4")
    assert list(Step.objects.filter(kind="remux").values_list("payload", flat=True)) == [
        {"asset": "mp4", "rendition": "audio"}
    ]


def test_a_required_gpu_is_neither_claimed_nor_waited_for() -> None:
    policy = replace(a_policy(), gpu=GpuConfig(enable_gpu=True))
    job = a_job(an_audio_file(), policy=policy, gpu="require")
    assert job.phase == JobPhase.PLANNED
    assert not Step.objects.exclude(encoder="", queue="cpu").exists()
    assert "gpu_fallback" not in job.metadata


def test_a_dry_run_says_what_has_no_effect(client: Client) -> None:
    status, plan = ask(client, dry_run=True, resolution="720p", codec="h265", output_format="mp4")
    assert status == 200, plan
    shown = {name: plan[name] for name in ("codec", "encoder", "preset", "frame_rate", "total_frames", "duration")}
    assert shown == {
        "codec": "aac",
        "encoder": "aac",
        "preset": None,
        "frame_rate": None,
        "total_frames": None,
        "duration": 40.0,
    }
    assert (plan["renditions"], [track["name"] for track in plan["audio"]]) == ([], ["audio"])
    assert [reason["choice"] for reason in plan["reasons"] if reason["value"] == "no effect"] == ["resolution", "codec"]
    assert plan["step_counts"] == {"audio": 1}
    assert plan["estimate"] == {"speed": 40.0, "work_seconds": 1.0, "step_seconds": 1.0, "slots": 0, "seconds": None}


def test_progress_speed_and_time_left_are_those_of_the_audio() -> None:
    job = a_job(an_audio_file())
    claim = claimed()
    published(claim, first_segment=0, segments=5)
    (view,) = job_views(list(jobs_of(job.owner)))
    assert view.progress == 49
    assert view.speed
    assert view.eta_seconds is not None


def test_a_retry_keeps_what_was_published() -> None:
    job = a_job(an_audio_file())
    published(claimed(), first_segment=0, segments=4)
    job_cancel(owner=job.owner, job_id=job.id)
    job_retry(owner=job.owner, job_id=job.id, policy=a_policy())
    job.refresh_from_db()
    assert job.metadata["segments_kept"] == 4
    assert list(Step.objects.filter(kind="audio").values_list("state", "units_done")) == [("ready", 4)]
    claim = claimed()
    published(claim, first_segment=4, segments=6)
    step_complete(claim=claim, result={})
    assert Step.objects.get(kind="finish").state == "ready"


def _completed(job: Job) -> None:
    generation = Generation.objects.get(job_id=job.id)
    rendition = generation.renditions.get()
    generation_complete(generation=generation, verified=[measured(rendition)])
    assets_publish(generation_id=generation.id, assets=[an_mp4(rendition)])
    Job.objects.filter(id=job.id).update(state=JobState.COMPLETED, phase=JobPhase.ENDED, finished_at=job.created_at)


def test_outputs_have_no_size(client: Client) -> None:
    job = a_job(an_audio_file(), output_format="mp4")
    _completed(job)
    outputs = client.get(f"/api/v1/jobs/{job.id}/outputs").json()["outputs"]
    assert [(each["type"], each["rendition"]) for each in outputs] == [
        ("hls", None),
        ("dash", None),
        ("hls", "audio"),
        ("mp4", "audio"),
    ]
    assert {(each["width"], each["height"], each["frame_rate"], each["codecs"]) for each in outputs} == {
        (None, None, None, "mp4a.40.2")
    }
    assert [each["bitrate"] for each in outputs] == [None, None, 500_000, 500_000]
    playback = client.get(f"/api/v1/videos/{job.video_id}/playback").json()
    assert [(each["name"], each["kind"], each["width"]) for each in playback["renditions"]] == [
        ("audio", "audio", None)
    ]


def test_the_only_rendition_goes_with_all_outputs(client: Client) -> None:
    job = a_job(an_audio_file())
    _completed(job)
    answer = client.delete(f"/api/v1/jobs/{job.id}/outputs/audio")
    assert (answer.status_code, answer.json()["code"]) == (409, "last_rendition")
    assert client.delete(f"/api/v1/jobs/{job.id}/outputs").status_code == 204
    assert Step.objects.filter(kind="purge").exists()


def test_a_video_s_mp4_still_needs_its_size() -> None:
    """The file of a rendition with video is no audio file, and the other way round."""
    job = a_job(an_audio_file())
    _completed(job)
    for changes in ({"media_type": "video/mp4"}, {"width": 2, "height": 2}):
        with pytest.raises(IntegrityError, match="videos_asset_mp4"), transaction.atomic():
            Asset.objects.update(**changes)


def test_operators_hear_it_on_its_page(client: Client) -> None:
    job = a_job(an_audio_file(), output_format="mp4")
    _completed(job)
    client.force_login(User.objects.create_superuser("operator"))
    page = client.get(f"/admin/videos/video/{job.video_id}/change/").content.decode()
    assert ("<audio controls" in page, "<video" in page, "audio.mp4" in page) == (True, False, True)
    page = client.get(f"/admin/jobs/job/{job.id}/change/").content.decode()
    assert ("128 kbit/s" in page, "Plan: chunks" in page) == (True, False)
