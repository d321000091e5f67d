from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F

from api.problems import Problem
from configuration import RankConfig, RetryConfig
from events.models import Event
from jobs.leasing.steps import step_begin
from jobs.lifecycle.failures import step_fail
from jobs.lifecycle.services import job_cancel, job_reprioritize
from jobs.models import Job, Step
from jobs.rules.retry import Failure
from jobs.rules.steps import StepKind
from jobs.rules.transitions import StepState
from tests.rows import a_job, a_policy, a_video, an_owner, an_uploaded_video, claimed

pytestmark = pytest.mark.django_db

RANK = RankConfig()


def _reprioritize(job: Job, priority: int) -> None:
    job_reprioritize(owner=job.owner, job_id=job.id, priority=priority, rank=RANK)


def test_steps_that_wait_keep_the_time_they_have_waited() -> None:
    job = a_job()
    Step.objects.update(rank_at=F("rank_at") - timedelta(hours=1))
    before = dict(Step.objects.values_list("id", "rank_at"))
    leads = dict(Step.objects.values_list("id", "lead_seconds"))
    _reprioritize(job, 80)
    for step in Step.objects.all():
        assert before[step.id] - step.rank_at == timedelta(minutes=30)  # 30 points
        assert step.lead_seconds - leads[step.id] == 30 * 60
    job.refresh_from_db()
    assert job.priority == 80
    assert Event.objects.get(type="job.reprioritized").data == {"from": 50, "to": 80}


def test_a_job_overtakes_those_before_it_and_can_be_sent_back() -> None:
    first, second = a_job(a_video(audio=False)), a_job(a_video(audio=False))
    _reprioritize(second, 60)
    assert claimed().job_id == second.id
    _reprioritize(second, 40)
    assert claimed().job_id == first.id


def test_a_running_jobs_other_steps_and_its_retries_follow() -> None:
    job = a_job(a_video(audio=False))
    claim = claimed()
    step_begin(claim=claim)
    Step.objects.filter(kind=StepKind.CHUNK, ordinal=1).update(state=StepState.DONE, units_done=2)
    _reprioritize(job, 100)
    leads = dict(Step.objects.filter(kind=StepKind.CHUNK).values_list("ordinal", "lead_seconds"))
    assert leads == {0: 6030, 1: 3000, 2: 6000, 3: 6000, 4: 6000}  # what is done stays as it was
    step_fail(claim=claim, failure=Failure(code="broken", retryable=True), policy=a_policy(retry=RetryConfig()))
    assert Step.objects.get(id=claim.step_id).lead_seconds == 6030


def test_a_job_that_waits_for_its_inspection_hurries_it_but_never_delays_it() -> None:
    patient, hurried = an_uploaded_video(), an_uploaded_video()
    a_job(patient)
    job = a_job(hurried)
    _reprioritize(job, 90)
    assert Step.objects.get(video=hurried).lead_seconds == 90 * 60 + 30
    _reprioritize(job, 0)
    assert claimed().video_id == hurried.id


def test_the_same_priority_again_is_no_event() -> None:
    job = a_job()
    _reprioritize(job, 50)
    assert not Event.objects.filter(type="job.reprioritized").exists()


def test_a_job_that_is_over_stays_as_it_is() -> None:
    job = a_job()
    job_cancel(owner=job.owner, job_id=job.id)
    with pytest.raises(Problem) as caught:
        _reprioritize(job, 80)
    assert (caught.value.status, caught.value.code) == (409, "job_over")


def test_anothers_job_is_not_found() -> None:
    with pytest.raises(Problem) as caught:
        job_reprioritize(owner=an_owner("other"), job_id=a_job().id, priority=80, rank=RANK)
    assert caught.value.status == 404
