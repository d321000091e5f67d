"""Plans as clients see them: of jobs, and of dry runs."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from events.models import Event
from jobs.leasing.nodes import node_register
from jobs.lifecycle.services import job_cancel
from jobs.models import Job, Step
from jobs.reports import previews
from tests.rows import a_job, a_key, a_video, an_owner, an_uploaded_video, some_facts
from transcoding.explanation.steps import planned_steps
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


def test_a_plan_shows_its_steps_in_parts_and_counts_them(client: Client) -> None:
    """Of a source as long as is allowed, with as many chunks as that makes."""
    video = a_video(seconds=43_200)
    whole = f"/api/v1/videos/{video.id}/transcode"
    response = client.post(whole, data='{"dry_run": true}', content_type="application/json")
    assert len(response.content) < 100_000
    dry = json.loads(response.content)
    chunks = dry["step_counts"]["chunk"]
    assert chunks > 100
    assert dry["step_counts"] == {"audio": 1, "chunk": chunks}
    assert (dry["steps_total"], len(dry["steps"])) == (chunks + 1, 20)

    response = client.post(f"{whole}?limit=7&offset=18", data='{"dry_run": true}', content_type="application/json")
    overlapping = json.loads(response.content)["steps"]
    assert overlapping[:2] == dry["steps"][18:]
    assert len(overlapping) == 7

    job = json.loads(client.post(whole, data="{}", content_type="application/json").content)
    shown: list[dict[str, Any]] = []
    while part := json.loads(client.get(f"{job['links']['plan']}?limit=100&offset={len(shown)}").content)["steps"]:
        assert len(part) <= 100
        shown += part
    assert len(shown) == chunks + 1
    assert [(step["kind"], step["ordinal"]) for step in shown] == [
        ("audio", 0),
        *(("chunk", ordinal) for ordinal in range(chunks)),
    ]
    assert sum(step["segments"] for step in shown[1:]) == dry["total_segments"]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "offset=-1", "offset=x", "page=2", f"offset={'9' * 5000}"])
def test_a_part_that_cannot_be_shown_is_refused(client: Client, query: str) -> None:
    job = a_job()
    for response in (
        client.get(f"/api/v1/jobs/{job.id}/plan?{query}"),
        client.post(f"/api/v1/videos/{job.video_id}/transcode?{query}", data="{}", content_type="application/json"),
    ):
        assert response.status_code == 422
    assert Job.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_plans_are_rendered_without_a_database_connection(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(headers={"Authorization": f"Bearer {a_key()}"})
    job = a_job()
    held: list[bool] = []

    def explained(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - the real one's
        held.append(connection.connection is not None)
        return planned_steps(*arguments, **named)

    monkeypatch.setattr(previews, "planned_steps", explained)
    assert _plan(client, job.id)[0] == 200
    assert _dry_run(client, job.video_id)[0] == 200
    assert held == [False, False]


def test_a_dry_run_needs_an_inspected_video(client: Client) -> None:
    status, problem = _dry_run(client, an_uploaded_video().id)
    assert (status, problem["code"], problem["retryable"]) == (409, "video_not_inspected", True)
    assert not Job.objects.exists()


def test_a_dry_run_needs_facts_of_this_version(client: Client) -> None:
    video = a_video()
    Video.objects.update(facts={**some_facts(), "version": 99})
    status, problem = _dry_run(client, video.id)
    assert (status, problem["code"], problem["retryable"]) == (409, "video_not_inspected", True)


def test_a_dry_run_that_names_tracks_needs_a_list_of_them(client: Client) -> None:
    """Version 0.1 listed none."""
    video = a_video()
    facts: dict[str, Any] = some_facts()
    Video.objects.update(facts=facts | {"video_stream": facts["video_stream"] | {"source_index": None}})
    status, problem = _dry_run(client, video.id, video_stream=0)
    assert (status, problem["code"], problem["retryable"]) == (409, "video_not_inspected", True)
    assert "inspected again" in problem["detail"]


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
