"""Deleting a video with many jobs: a short request, and a step that does the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from events.models import Event
from jobs.changes.endings import ENDED_AT_ONCE
from jobs.leasing.leases import LeaseLost
from jobs.leasing.steps import step_begin
from jobs.lifecycle.failures import step_fail
from jobs.lifecycle.outcomes import video_jobs_end, video_rows_delete
from jobs.lifecycle.services import video_delete
from jobs.models import Job, Step
from jobs.rules.retry import Failure
from jobs.rules.steps import StepKind
from jobs.rules.transitions import JobState, StepState
from storage.keys import video_prefix
from tests.pipeline_client import PipelineClient
from tests.rows import a_bare_job, a_job, a_policy, a_run, a_video, an_owner, an_uploaded_video, claimed, expire
from videos.models import Rendition, SegmentRun, Video
from videos.runs import run_publish
from workers.runner import StepRunner
from workers.tools import Tools

MANY = 2 * ENDED_AT_ONCE + 5


def _states(video: Video) -> dict[str, int]:
    states: dict[str, int] = {}
    for state in Job.objects.filter(video=video).values_list("state", flat=True):
        states[state] = states.get(state, 0) + 1
    return states


def test_a_video_with_many_open_jobs_is_gone_at_once_and_its_purge_ends_them(
    tools: Tools, runner: StepRunner, pipeline: PipelineClient, clip: Path, client: Client
) -> None:
    video = pipeline.upload(clip)
    runner.work("cpu")  # inspects it
    jobs = [pipeline.transcode(video) for _ in range(MANY)]
    late = max(jobs, key=lambda job: job.id)  # they are ended in the order of their ids
    Step.objects.filter(job=late).update(rank_at="2026-01-01T00:00:00Z")
    running = claimed(lease_seconds=600)
    assert running.job_id == late.id

    video_delete(owner=video.owner, video_id=video.id)
    assert client.get(f"/api/v1/videos/{video.id}").status_code == 404
    assert _states(video) == {"cancelled": ENDED_AT_ONCE, "queued": MANY - ENDED_AT_ONCE}

    runner.work("cpu")
    assert _states(video) == {"cancelled": MANY}
    assert Event.objects.filter(type="job.cancelled").count() == MANY
    with pytest.raises(LeaseLost):
        step_begin(claim=running)
    purge = Step.objects.get(kind=StepKind.PURGE)
    assert (purge.state, purge.failures) == (StepState.DELAYED, 0), "what runs may still write until its lease ends"
    assert list(tools.store.list(video_prefix(video.id)))
    assert set(Step.objects.exclude(kind=StepKind.INSPECT).exclude(id=purge.id).values_list("attempt", flat=True)) == {
        0,
        1,
    }, "nothing but the purge was started since"

    expire(running.step_id)
    Step.objects.filter(id=purge.id).update(state=StepState.READY, not_before=None)
    runner.work("cpu")
    assert not list(tools.store.list(video_prefix(video.id)))
    video.refresh_from_db()
    assert video.state == "deleted"


@pytest.mark.django_db
def test_the_request_does_not_grow_with_the_number_of_jobs() -> None:
    def queries(jobs: int) -> int:
        video = a_video(an_owner(f"owner of {jobs}"))
        for _ in range(jobs):
            a_job(video)
        with CaptureQueriesContext(connection) as captured:
            video_delete(owner=video.owner, video_id=video.id)
        return len(captured)

    assert queries(MANY) == queries(2 * MANY)


@pytest.mark.django_db
def test_many_jobs_that_wait_for_the_inspection_of_a_bad_source_all_fail_for_it() -> None:
    video = an_uploaded_video()
    for _ in range(MANY):
        a_job(video)
    claim = claimed()
    failure = Failure(code="input_rejected", detail="no video track", input_at_fault=True)
    step_fail(claim=claim, failure=failure, policy=a_policy())
    video.refresh_from_db()
    assert (video.state, _states(video)["failed"]) == ("rejected", ENDED_AT_ONCE)
    purge = claimed()
    assert purge.kind is StepKind.PURGE
    while video_jobs_end(claim=purge):
        pass
    assert _states(video) == {"failed": MANY}
    errors = set(Job.objects.values_list("error_code", "error_detail"))
    assert errors == {("input_rejected", "no video track")}


@pytest.mark.django_db
@pytest.mark.parametrize("write", [video_jobs_end, video_rows_delete])
def test_a_purge_that_lost_its_lease_ends_nothing(write: Callable[..., bool]) -> None:
    video = a_video()
    job = a_job(video)
    video_delete(owner=video.owner, video_id=video.id)
    claim = claimed()
    Job.objects.filter(id=job.id).update(state=JobState.QUEUED, finished_at=None)
    Step.objects.filter(id=claim.step_id).update(attempt=2)
    with pytest.raises(LeaseLost):
        write(claim=claim)
    job.refresh_from_db()
    assert job.state == JobState.QUEUED


@pytest.mark.django_db
def test_rows_are_deleted_so_many_at_a_time() -> None:
    video = a_video()
    job = a_bare_job(video)
    rendition = Rendition.objects.get(generation=job.generation_id)
    run_publish(step_id=job.id, attempt=1, runs=[a_run(rendition, number) for number in range(7)])
    other = a_bare_job(a_video())
    run_publish(step_id=other.id, attempt=1, runs=[a_run(Rendition.objects.get(generation=other.generation_id), 0)])
    video_delete(owner=video.owner, video_id=video.id)
    claim = claimed()
    left = []
    while video_rows_delete(claim=claim, at_a_time=3):
        left.append(SegmentRun.objects.filter(rendition=rendition).count())
    assert left == [4, 1, 0]
    assert SegmentRun.objects.count() == 1
