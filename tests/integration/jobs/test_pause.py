"""A job rests, and goes on where it was."""

from __future__ import annotations

import pytest
from django.db.models.functions import Now

from api.problems import Problem
from configuration import RankConfig
from events.models import Event
from jobs.leasing.claim import Claim
from jobs.leasing.leases import LeaseLost, step_renew
from jobs.leasing.steps import step_begin, step_publish
from jobs.lifecycle.failures import steps_promote
from jobs.lifecycle.outcomes import video_inspected
from jobs.lifecycle.services import job_cancel, job_force_cpu, job_pause, job_reprioritize, job_resume, job_retry
from jobs.models import Job, Step
from jobs.rules.steps import StepKind
from jobs.rules.transitions import JobPhase, JobState, StepState
from tests.rows import a_job, a_policy, a_run, a_video, an_owner, an_uploaded_video, claim_or_none, claimed, some_facts
from videos.models import Generation, SegmentRun, Video
from videos.states import GenerationState

pytestmark = pytest.mark.django_db


def _pause(job: Job) -> Job:
    job_pause(owner=job.owner, job_id=job.id)
    return Job.objects.get(id=job.id)


def _resume(job: Job) -> Job:
    job_resume(owner=job.owner, job_id=job.id, policy=a_policy())
    return Job.objects.get(id=job.id)


def _publish(claim: Claim, to: int) -> None:
    work = step_begin(claim=claim)
    runs = [a_run(each, claim.payload["first_segment"], to, prefix=f"{claim.step_id}/") for each in work.renditions]
    step_publish(claim=claim, runs=runs, units_done=to)


def _under_way() -> tuple[Job, Claim]:
    """A job one of whose chunks runs and has published one of its two segments."""
    job = a_job(a_video(audio=False))
    claim = claimed()
    _publish(claim, to=1)
    return job, claim


def test_a_paused_job_is_left_alone_and_what_it_published_stays() -> None:
    job, claim = _under_way()
    paused = _pause(job)
    assert (paused.state, paused.phase, paused.finished_at) == (JobState.PAUSED, JobPhase.PAUSED, None)
    assert not step_renew(claim=claim, lease_seconds=30), "its worker learns it, and ends ffmpeg"
    with pytest.raises(LeaseLost):
        _publish(claim, to=2)
    steps_promote()
    assert claim_or_none() is None
    assert Generation.objects.get().state == GenerationState.BUILDING
    assert SegmentRun.objects.count() == 1


def test_a_resumed_job_goes_on_after_its_last_segment_uncharged() -> None:
    job, claim = _under_way()
    _pause(job)
    resumed = _resume(job)
    assert (resumed.state, resumed.phase) == (JobState.QUEUED, JobPhase.PLANNED)
    assert "retries" not in resumed.metadata
    again = claimed()
    assert (again.step_id, again.attempt, again.units_done) == (claim.step_id, 2, 1)
    assert Step.objects.get(id=again.step_id).failures == 0
    types = list(Event.objects.filter(job_id=job.id).order_by("seq").values_list("type", flat=True))
    assert types[-2:] == ["job.paused", "job.resumed"]
    assert Event.objects.get(type="job.resumed").data == {"continues_generation": 1}


def test_a_job_that_rests_while_its_video_is_inspected_is_planned_when_it_goes_on() -> None:
    job = _pause(a_job(an_uploaded_video()))
    other = a_job(job.video)
    video_inspected(claim=claimed(), facts=some_facts(), media={}, warnings=[], policy=a_policy(), result={})
    job.refresh_from_db()
    other.refresh_from_db()
    assert (job.state, job.generation, other.phase) == (JobState.PAUSED, None, JobPhase.PLANNED)
    assert _resume(job).phase == JobPhase.PLANNED
    assert Step.objects.filter(job=job, kind=StepKind.CHUNK, state=StepState.READY).exists()


def test_a_resumed_job_has_the_priority_that_it_was_given_meanwhile() -> None:
    a_job(a_video(audio=False))
    urgent = a_job(a_video(audio=False))
    _pause(urgent)
    job_reprioritize(owner=urgent.owner, job_id=urgent.id, priority=90, rank=RankConfig())
    assert _resume(urgent).priority == 90
    assert claimed().job_id == urgent.id


@pytest.mark.parametrize("end", [job_cancel, job_pause])
def test_a_paused_job_can_be_cancelled_and_not_be_paused_again(end: object) -> None:
    job = _pause(a_job())
    if end is job_cancel:
        job_cancel(owner=job.owner, job_id=job.id)
        assert Job.objects.get(id=job.id).state == JobState.CANCELLED
    else:
        with pytest.raises(Problem) as refused:
            _pause(job)
        assert (refused.value.status, refused.value.code) == (409, "job_paused")


def test_what_makes_no_sense_is_refused_and_changes_nothing() -> None:
    job = a_job()
    with pytest.raises(Problem) as not_paused:
        _resume(job)
    assert (not_paused.value.status, not_paused.value.code) == (409, "job_not_paused")
    _pause(job)
    with pytest.raises(Problem) as not_over:
        job_retry(owner=job.owner, job_id=job.id, policy=a_policy())
    assert not_over.value.code == "job_not_retryable"
    with pytest.raises(Problem) as resting:
        job_force_cpu(owner=job.owner, job_id=job.id, policy=a_policy())
    assert resting.value.code == "job_paused"
    for order in (job_pause, lambda **who: job_resume(policy=a_policy(), **who)):
        with pytest.raises(Problem) as stranger:
            order(owner=an_owner("other"), job_id=job.id)
        assert stranger.value.status == 404
    assert Job.objects.get(id=job.id).state == JobState.PAUSED


def test_a_job_whose_plan_is_not_understood_any_more_takes_what_players_have_away_and_starts_again() -> None:
    """After an update, say. Its objects are removed, so nobody may be pointed to them."""
    job, _ = _under_way()
    generation = Generation.objects.get()
    Generation.objects.update(playable_at=Now())
    Video.objects.update(current_generation=generation)
    _pause(job)
    Generation.objects.update(plan={"version": 0})
    resumed = _resume(job)
    generation.refresh_from_db()
    assert generation.state == GenerationState.ABANDONED
    assert Video.objects.get().current_generation is None
    assert Step.objects.filter(kind=StepKind.PURGE).count() == 1
    assert (resumed.phase, resumed.generation_id == generation.id) == (JobPhase.PLANNED, False)
