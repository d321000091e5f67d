from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from access.services import default_owner
from api.problems import Problem
from jobs.leasing.leases import LeaseLost
from jobs.leasing.steps import step_begin
from jobs.lifecycle.outcomes import video_inspected, video_purged
from jobs.lifecycle.services import job_cancel, job_create, video_delete
from jobs.models import Job, Step
from jobs.rules.steps import StepKind
from jobs.rules.transitions import JobPhase, JobState, StepState
from storage.keys import video_prefix
from tests.rows import a_job, a_policy, a_video, an_owner, an_uploaded_video, claimed, some_facts
from tests.unit.transcoding.test_stored import STORED
from transcoding.errors import InputRejected, PlanTooLarge
from transcoding.planning.plan import EncodePlan
from videos.models import Generation, Rendition, SegmentRun, Video
from videos.services import video_reject
from videos.states import VideoState

pytestmark = pytest.mark.django_db


def _inspect(video: Video, **facts: Any) -> None:  # noqa: ANN401 - passed on
    claim = claimed()
    assert (claim.kind, claim.video_id) == (StepKind.INSPECT, video.id)
    step_begin(claim=claim)
    video_inspected(
        claim=claim, facts=some_facts(**facts), media={"width": 640}, warnings=["rotated"], policy=a_policy(), result={}
    )


def test_a_job_for_an_inspected_video_is_planned_at_once() -> None:
    job = a_job(a_video(seconds=40))
    assert (job.state, job.phase, job.open_steps) == (JobState.QUEUED, JobPhase.PLANNED, 6)
    steps = Step.objects.filter(job=job).order_by("kind", "ordinal").values_list("kind", "ordinal", "units_total")
    assert list(steps) == [("audio", 0, 10), *(("chunk", n, 2) for n in range(5)), ("finish", 0, 0)]
    assert job.generation is not None
    plan = EncodePlan.from_json(job.generation.plan)
    renditions = Rendition.objects.filter(generation=job.generation).order_by("position")
    assert [r.name for r in renditions] == [*(r.name for r in plan.renditions), "audio"]
    assert {r.total_segments for r in renditions} == {10}


def test_a_job_for_an_uploaded_video_waits_for_one_inspection() -> None:
    video = an_uploaded_video()
    jobs = [a_job(video, bitrate=800_000), a_job(video)]
    assert {job.phase for job in jobs} == {JobPhase.INSPECTING}
    assert Step.objects.filter(video=video).count() == 1
    _inspect(video)
    video.refresh_from_db()
    assert (video.state, video.warnings, video.media) == (VideoState.READY, ["rotated"], {"width": 640})
    assert video.inspected_at is not None
    for number, job in enumerate(sorted(jobs, key=lambda job: job.id), start=1):
        job.refresh_from_db()
        assert job.phase == JobPhase.PLANNED
        assert job.generation is not None
        assert job.generation.number == number


def test_an_urgent_job_hurries_the_inspection_it_waits_for() -> None:
    patient, other = an_uploaded_video(), an_uploaded_video()
    a_job(other)
    a_job(patient)
    a_job(patient, priority=90)
    assert claimed().video_id == patient.id


def test_an_inspection_that_finds_too_much_fails_the_jobs_and_keeps_the_video() -> None:
    video = an_uploaded_video()
    job = a_job(video)
    _inspect(video, seconds=3601)
    job.refresh_from_db()
    video.refresh_from_db()
    assert (job.state, job.error_code) == (JobState.FAILED, "input_rejected")
    assert "3601" in job.error_detail
    assert video.state == VideoState.READY


def test_a_video_with_facts_of_another_version_is_inspected_again() -> None:
    video = a_video()
    planned = a_job(video)
    Video.objects.filter(id=video.id).update(facts={**some_facts(), "version": 99})
    waiting = a_job(Video.objects.get(), priority=100)
    assert (waiting.phase, waiting.generation) == (JobPhase.INSPECTING, None)
    _inspect(video)
    waiting.refresh_from_db()
    assert waiting.phase == JobPhase.PLANNED
    assert Generation.objects.filter(job_id=planned.id).count() == 1, "a job that was planned stays as it is"
    assert Video.objects.get().facts == some_facts()


def test_a_request_names_a_track_of_a_video_that_version_0_1_inspected() -> None:
    """No tracks were listed then: the video is inspected again, and the job is planned after that."""
    video = a_video()
    old = json.loads((STORED / "facts-3.json").read_text())
    Video.objects.filter(id=video.id).update(facts=old)
    job = job_create(owner=video.owner, video_id=video.id, request={"video_stream": 0}, priority=50, policy=a_policy())
    assert (job.phase, job.generation) == (JobPhase.INSPECTING, None)
    facts = some_facts()
    facts["video_stream"] |= {"source_index": 0}  # type: ignore[operator]
    facts["audio"][0] |= {"source_index": 1}  # type: ignore[index]
    video_inspected(claim=claimed(), facts=facts, media={}, warnings=[], policy=a_policy(), result={})
    job.refresh_from_db()
    assert job.phase == JobPhase.PLANNED


def test_a_second_report_of_the_same_inspection_is_recognised() -> None:
    video = an_uploaded_video()
    a_job(video)
    claim = claimed()
    for _ in range(2):
        video_inspected(claim=claim, facts=some_facts(), media={}, warnings=[], policy=a_policy(), result={})
    assert Generation.objects.count() == 1


def test_a_video_beyond_the_limits_leaves_nothing_behind() -> None:
    video = a_video(seconds=3601)
    with pytest.raises(InputRejected, match="3601"):
        job_create(owner=video.owner, video_id=video.id, request={}, priority=50, policy=a_policy())
    assert not Job.objects.exists()
    assert not Generation.objects.exists()


@pytest.mark.parametrize("limit", [{"max_chunks": 4}, {"max_renditions": 0}])
def test_more_than_is_allowed_leaves_nothing_behind(limit: dict[str, Any]) -> None:
    video = a_video(seconds=40)  # five chunks of 8 s, one rendition
    policy = a_policy()
    with pytest.raises(PlanTooLarge):
        a_job(video, policy=replace(policy, plan=replace(policy.plan, **limit)))
    assert not Job.objects.exists()
    assert not Generation.objects.exists()


def test_a_rejected_video_takes_no_job() -> None:
    video = a_video()
    video_reject(video=video, code="input_rejected", detail="no video track")
    with pytest.raises(Problem) as caught:
        a_job(video)
    assert (caught.value.status, caught.value.code) == (422, "input_rejected")


def test_another_owner_has_no_such_video() -> None:
    video = a_video()
    for video_id in (video.id, uuid4()):
        with pytest.raises(Problem) as caught:
            job_create(owner=an_owner("other"), video_id=video_id, request={}, priority=50, policy=a_policy())
        assert (caught.value.status, caught.value.code) == (404, "video_not_found")


def test_a_long_video_takes_no_more_queries_than_a_short_one() -> None:
    def queries(seconds: int) -> int:
        video = a_video(seconds=seconds)
        default_owner()
        with CaptureQueriesContext(connection) as captured:
            a_job(video)
        return len(captured)

    assert queries(8) == queries(3000)


def test_cancelling_a_queued_job_lets_nothing_start() -> None:
    job = a_job()
    job_cancel(owner=job.owner, job_id=job.id)
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED
    assert set(Step.objects.values_list("state", flat=True)) == {StepState.CANCELLED}


def test_a_job_that_is_over_cannot_be_cancelled() -> None:
    job = a_job()
    job_cancel(owner=job.owner, job_id=job.id)
    with pytest.raises(Problem) as caught:
        job_cancel(owner=job.owner, job_id=job.id)
    assert (caught.value.status, caught.value.code) == (409, "job_over")
    with pytest.raises(Problem) as caught:
        job_cancel(owner=an_owner("other"), job_id=job.id)
    assert caught.value.status == 404


def test_deleting_a_video_cancels_its_work_first_and_then_removes_every_object() -> None:
    video = a_video()
    job = a_job(video)
    running = claimed()
    video_delete(owner=video.owner, video_id=video.id)
    video.refresh_from_db()
    job.refresh_from_db()
    assert (video.state, job.state) == (VideoState.DELETING, JobState.CANCELLED)
    with pytest.raises(LeaseLost):
        step_begin(claim=running)

    purge = Step.objects.get(kind=StepKind.PURGE)
    assert (purge.state, purge.payload) == (StepState.DELAYED, {"prefix": video_prefix(video.id)})
    Step.objects.filter(id=purge.id).update(state=StepState.READY, not_before=None)
    claim = claimed()
    assert step_begin(claim=claim).job is None
    video_purged(claim=claim, objects=7)
    video_purged(claim=claim, objects=7)
    video.refresh_from_db()
    assert video.state == VideoState.DELETED
    assert not SegmentRun.objects.exists()


def test_deleting_an_idle_video_removes_its_objects_at_once() -> None:
    video = a_video()
    video_delete(owner=video.owner, video_id=video.id)
    assert claimed().kind is StepKind.PURGE


def test_a_video_can_be_deleted_while_it_is_inspected() -> None:
    video = an_uploaded_video()
    job = a_job(video)
    claim = claimed()
    video_delete(owner=video.owner, video_id=video.id)
    with pytest.raises(LeaseLost):
        video_inspected(claim=claim, facts=some_facts(), media={}, warnings=[], policy=a_policy(), result={})
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED


def test_a_deleted_video_is_gone() -> None:
    video = a_video()
    video_delete(owner=video.owner, video_id=video.id)
    for again in (lambda: video_delete(owner=video.owner, video_id=video.id), lambda: a_job(video)):
        with pytest.raises(Problem) as caught:
            again()
        assert caught.value.status == 404


def test_a_job_keeps_its_place_while_its_video_is_inspected() -> None:
    waiting = a_job(an_uploaded_video())
    Job.objects.filter(id=waiting.id).update(created_at=Now() - timedelta(seconds=2))
    inspection = claimed()
    at_once = a_job(a_video())
    Job.objects.filter(id=at_once.id).update(created_at=Now() - timedelta(seconds=1))
    Step.objects.filter(job=at_once).update(rank_at=F("rank_at") - timedelta(seconds=1))
    video_inspected(claim=inspection, facts=some_facts(), media={}, warnings=[], policy=a_policy(), result={})
    assert [claimed().job_id for _ in range(4)] == [waiting.id, waiting.id, at_once.id, at_once.id], "their beginnings"
