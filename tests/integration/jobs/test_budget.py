"""Budgets of work: of one job, of its longest step, and of all open jobs of an owner."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from api.problems import Problem
from events.models import Event
from jobs.dispatching import budget_watch
from jobs.dispatching.budget_watch import held_jobs_plan
from jobs.lifecycle.inspection import inspect_request
from jobs.lifecycle.outcomes import video_inspected
from jobs.lifecycle.services import job_cancel, job_pause, job_resume, job_retry
from jobs.models import Job
from jobs.planning.budget import open_work_seconds
from jobs.rules.policy import JobPolicy
from tests.rows import a_job, a_policy, a_video, an_owner, an_uploaded_video, claimed, some_facts
from transcoding.errors import PlanTooLarge
from videos.models import Video

pytestmark = pytest.mark.django_db


def a_bounded_policy(max_owner_work_seconds: float) -> JobPolicy:
    return replace(a_policy(), max_owner_work_seconds=round(max_owner_work_seconds))


def work_of(video: Video) -> float:
    """Return the work of a job of the video, of which nothing stays."""
    job = a_job(video)
    work = job.work_seconds
    job_cancel(owner=job.owner, job_id=job.id)
    Job.objects.filter(id=job.id).delete()
    assert work > 0
    return work


def test_a_job_counts_with_its_work_until_it_ends() -> None:
    owner = an_owner("busy")
    first, second = a_job(a_video(owner)), a_job(a_video(owner))
    assert open_work_seconds(owner.id) == pytest.approx(first.work_seconds + second.work_seconds)
    assert open_work_seconds(owner.id, but=first.id) == pytest.approx(second.work_seconds)
    assert open_work_seconds(an_owner("other").id) == 0
    job_cancel(owner=owner, job_id=first.id)
    assert open_work_seconds(owner.id) == pytest.approx(second.work_seconds)


def test_a_job_beyond_the_budget_of_its_owner_is_refused() -> None:
    owner = an_owner("busy")
    policy = a_bounded_policy(1.5 * work_of(a_video(owner)))
    a_job(a_video(owner), policy=policy)
    with pytest.raises(Problem) as refused:
        a_job(a_video(owner), policy=policy)
    assert (refused.value.status, refused.value.code, refused.value.retryable) == (429, "work_budget_exceeded", True)
    assert Job.objects.filter(owner=owner).count() == 1
    a_job(a_video(an_owner("other")), policy=policy)


def test_a_retry_counts_like_a_new_job() -> None:
    """Or an owner would cancel, create another one, and retry the first."""
    owner = an_owner("busy")
    policy = a_bounded_policy(1.5 * work_of(a_video(owner)))
    first = a_job(a_video(owner), policy=policy)
    job_cancel(owner=owner, job_id=first.id)
    second = a_job(a_video(owner), policy=policy)
    with pytest.raises(Problem) as refused:
        job_retry(owner=owner, job_id=first.id, policy=policy)
    assert (refused.value.status, refused.value.code, refused.value.retryable) == (429, "work_budget_exceeded", True)
    first.refresh_from_db()
    assert first.state == "cancelled"
    job_cancel(owner=owner, job_id=second.id)
    job_retry(owner=owner, job_id=first.id, policy=policy)
    first.refresh_from_db()
    assert (first.state, first.phase) == ("queued", "planned")


def test_an_owner_without_an_open_job_may_have_one_of_any_size() -> None:
    a_job(a_video(seconds=400), policy=a_bounded_policy(1))


def a_held_job(owner_name: str, policy: JobPolicy) -> tuple[Job, Job]:
    """Return an open job, and one that was created before its video was inspected, of which there is too much now."""
    owner = an_owner(owner_name)
    video = an_uploaded_video(owner)
    held = a_job(video, policy=policy)
    open_job = a_job(a_video(owner), policy=policy)
    inspect_request(video=video, priority=100, rank=policy.rank)
    claim = claimed()
    while claim.video_id != video.id:
        claim = claimed()
    video_inspected(claim=claim, facts=some_facts(), media={}, warnings=[], policy=policy, result={})
    held.refresh_from_db()
    return open_job, held


def test_a_job_whose_video_is_inspected_later_waits_for_others_to_end() -> None:
    policy = a_bounded_policy(1.5 * work_of(a_video()))
    open_job, held = a_held_job("busy", policy)
    assert (held.state, held.phase, held.generation_id) == ("queued", "waiting", None)
    assert Event.objects.get(job_id=held.id, type="job.waiting").data == {"for": "budget"}
    held_jobs_plan(policy=policy)
    held.refresh_from_db()
    assert held.phase == "waiting"
    job_cancel(owner=open_job.owner, job_id=open_job.id)
    held_jobs_plan(policy=policy)
    held.refresh_from_db()
    assert (held.phase, held.generation_id is None) == ("planned", False)
    assert Event.objects.filter(job_id=held.id, type="job.waiting").count() == 1


def test_a_held_job_can_be_paused_and_waits_again_when_it_is_resumed() -> None:
    policy = a_bounded_policy(1.5 * work_of(a_video()))
    _, held = a_held_job("busy", policy)
    job_pause(owner=held.owner, job_id=held.id)
    held_jobs_plan(policy=policy)
    job_resume(owner=held.owner, job_id=held.id, policy=policy)
    held.refresh_from_db()
    assert (held.state, held.phase, held.generation_id) == ("queued", "waiting", None)


def test_the_oldest_held_job_goes_first_and_others_wait() -> None:
    owner = an_owner("busy")
    policy = a_bounded_policy(1.5 * work_of(a_video(owner)))
    held = []
    for _ in range(3):
        job = a_job(a_video(owner), policy=a_policy())
        job_pause(owner=owner, job_id=job.id)
        Job.objects.filter(id=job.id).update(state="queued", phase="waiting", generation=None)
        held.append(job)
    held_jobs_plan(policy=policy)
    phases = [Job.objects.get(id=job.id).phase for job in held]
    assert phases == ["planned", "waiting", "waiting"]


def a_job_held(owner_name: str) -> Job:
    """A job that waits though its owner has room for it by now."""
    job = a_job(a_video(an_owner(owner_name)))
    Job.objects.filter(id=job.id).update(state="queued", phase="waiting", generation=None)
    return job


def test_owners_whose_jobs_go_on_waiting_do_not_hold_up_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_watch, "_OWNERS", 1)
    policy = a_bounded_policy(1.5 * work_of(a_video()))
    _, stuck = a_held_job("busy", policy)
    held = a_job_held("other")
    assert stuck.created_at < held.created_at
    for _ in range(200):  # each pass finds it with a chance of a half
        held_jobs_plan(policy=policy)
    held.refresh_from_db()
    stuck.refresh_from_db()
    assert (held.phase, stuck.phase) == ("planned", "waiting")


def test_a_held_job_that_cannot_be_planned_does_not_hold_up_others(caplog: pytest.LogCaptureFixture) -> None:
    broken, held = a_job_held("busy"), a_job_held("busy")
    Job.objects.filter(id=broken.id).update(request=["of another program"])
    with caplog.at_level(logging.ERROR, budget_watch.__name__):
        held_jobs_plan(policy=a_policy())
    phases = [Job.objects.get(id=job.id).phase for job in (broken, held)]
    assert phases == ["waiting", "planned"]
    assert [record.__dict__["job"] for record in caplog.records] == [str(broken.id)]


def test_too_much_work_for_one_job_or_one_step_is_refused() -> None:
    video = a_video(seconds=400)
    plan = a_policy().plan
    with pytest.raises(PlanTooLarge, match=r"the job is expected to take .* s of work; 1 s are allowed"):
        a_job(video, policy=replace(a_policy(), plan=replace(plan, max_work_seconds=1)))
    slow = replace(plan, assumed_pixels_per_second=1000, max_work_seconds=10**9)
    with pytest.raises(PlanTooLarge, match="the shortest piece of the video is expected to take"):
        a_job(video, policy=replace(a_policy(), plan=slow))
    assert not Job.objects.exists()


def _post(client: Client, video: Video, **body: object) -> tuple[int, dict[str, Any]]:
    response = client.post(
        f"/api/v1/videos/{video.id}/transcode", data=json.dumps(body), content_type="application/json"
    )
    return response.status_code, json.loads(response.content)


def test_plans_show_the_budget(client: Client) -> None:
    first = _post(client, a_video())[1]
    _, dry = _post(client, a_video(), dry_run=True)
    budget = dry["budget"]
    assert budget["job_seconds"] == pytest.approx(dry["estimate"]["work_seconds"], abs=0.1)
    assert budget["open_seconds"] == pytest.approx(budget["job_seconds"], abs=0.1)
    assert (budget["max_job_seconds"], budget["max_open_seconds"], budget["fits"]) == (500_000, 1_500_000, True)
    assert 0 < dry["estimate"]["step_seconds"] <= dry["estimate"]["work_seconds"]
    Job.objects.filter(id=first["id"]).update(work_seconds=1_499_999)
    assert not _post(client, a_video(), dry_run=True)[1]["budget"]["fits"]
    status, problem = _post(client, a_video())
    assert (status, problem["code"], problem["retryable"]) == (429, "work_budget_exceeded", True)


@pytest.mark.django_db(transaction=True)
def test_jobs_at_once_do_not_exceed_the_budget_together() -> None:
    owner = an_owner("busy")
    policy = a_bounded_policy(3.5 * work_of(a_video(owner)))
    videos = [a_video(owner) for _ in range(8)]
    outcomes: list[str] = []

    def create(video: Video) -> None:
        try:
            a_job(video, policy=policy)
            outcomes.append("created")
        except Problem as problem:
            outcomes.append(problem.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=create, args=[video]) for video in videos]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["created"] * 3 + ["work_budget_exceeded"] * 5
