"""Plans as clients see them: of jobs, and of dry runs."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from events.models import Event
from jobs.leasing.nodes import node_register
from jobs.lifecycle.services import job_cancel
from jobs.models import Job, Step
from tests.rows import a_job, a_video, an_owner, an_uploaded_video, some_facts
from videos.models import Generation, Video
from videos.services import video_reject

pytestmark = pytest.mark.django_db


def _dry_run(client: Client, video_id: object, **body: object) -> tuple[int, dict[str, Any]]:
    response = client.post(
        f"/api/v1/videos/{video_id}/transcode",
        data=json.dumps({"dry_run": True} | body),
        content_type="application/json",
    )
    return response.status_code, json.loads(response.content)


def _plan(client: Client, job_id: object) -> tuple[int, dict[str, Any]]:
    response = client.get(f"/api/v1/jobs/{job_id}/plan")
    return response.status_code, json.loads(response.content)


def test_a_dry_run_says_what_would_be_done_and_does_nothing(client: Client) -> None:
    node_register(name="n", queues=["cpu"], slots=2, pid=1, info={})
    status, plan = _dry_run(client, a_video(seconds=600).id, resolution="240p", priority="high")
    assert status == 200
    assert (plan["job_id"], plan["generation"], plan["encoder"]) == (None, None, "libx264")
    assert [rendition["name"] for rendition in plan["renditions"]] == ["240p"]
    assert plan["total_segments"] == 150
    assert {step["kind"] for step in plan["steps"]} == {"audio", "chunk"}
    assert plan["estimate"]["slots"] == 2
    assert plan["estimate"]["seconds"] <= plan["estimate"]["work_seconds"]
    assert not any(model.objects.exists() for model in (Job, Step, Event, Generation))


def test_a_dry_run_and_the_job_are_the_same_plan(client: Client) -> None:
    video = a_video()
    dry = _dry_run(client, video.id)[1]
    response = client.post(f"/api/v1/videos/{video.id}/transcode", data="{}", content_type="application/json")
    job = json.loads(response.content)
    assert "dry_run" not in job["request"]
    status, plan = _plan(client, job["id"])
    assert status == 200
    assert plan == dry | {"job_id": job["id"], "generation": 1}
    assert job["links"]["plan"] == f"/api/v1/jobs/{job['id']}/plan"


def test_a_dry_run_needs_an_inspected_video(client: Client) -> None:
    status, problem = _dry_run(client, an_uploaded_video().id)
    assert (status, problem["code"], problem["retryable"]) == (409, "video_not_inspected", True)
    assert not Job.objects.exists()


def test_a_dry_run_needs_facts_of_this_version(client: Client) -> None:
    video = a_video()
    Video.objects.update(facts={**some_facts(), "version": 99})
    status, problem = _dry_run(client, video.id)
    assert (status, problem["code"], problem["retryable"]) == (409, "video_not_inspected", True)


def test_a_dry_run_of_what_is_not_there_or_not_allowed(client: Client) -> None:
    rejected = a_video()
    video_reject(video=rejected, code="input_rejected", detail="no video track")
    too_long = a_video(seconds=43_201)
    for video_id, expected in (
        (uuid4(), (404, "video_not_found")),
        (a_video(an_owner("other")).id, (404, "video_not_found")),
        (rejected.id, (422, "input_rejected")),
        (too_long.id, (422, "input_rejected")),
    ):
        status, problem = _dry_run(client, video_id)
        assert (status, problem["code"]) == expected


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_a_dry_run_is_requested_by_a_boolean(client: Client, value: object) -> None:
    status, problem = _dry_run(client, a_video().id, dry_run=value)
    assert (status, [error["field"] for error in problem["errors"]]) == (422, ["dry_run"])
    assert not Job.objects.exists()


def test_a_job_that_is_not_planned_yet_has_no_plan_to_show(client: Client) -> None:
    job = a_job(an_uploaded_video())
    status, problem = _plan(client, job.id)
    assert (status, problem["code"], problem["retryable"]) == (409, "job_not_planned", True)
    job_cancel(owner=job.owner, job_id=job.id)
    status, problem = _plan(client, job.id)
    assert (status, problem["retryable"]) == (409, False)


def test_anothers_plan_is_not_shown(client: Client) -> None:
    for job_id in (uuid4(), a_job(a_video(an_owner("other"))).id):
        status, problem = _plan(client, job_id)
        assert (status, problem["code"]) == (404, "job_not_found")
