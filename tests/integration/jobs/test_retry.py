"""A job that failed or was cancelled is done after all."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from uuid import UUID

import pytest
from django.db import connection

from api.problems import Problem
from configuration import RetryConfig
from events.models import Event
from jobs.changes.endings import purge_request
from jobs.leasing.claim import Claim
from jobs.leasing.leases import LeaseLost
from jobs.leasing.steps import step_begin, step_complete, step_publish
from jobs.lifecycle.failures import leases_reclaim, step_fail
from jobs.lifecycle.outcomes import job_complete, video_inspected
from jobs.lifecycle.services import job_cancel, job_retry, video_delete
from jobs.models import Job, Step
from jobs.reports.selectors import job_views, jobs_of
from jobs.rules.retry import POISON, Failure, failure_of
from jobs.rules.steps import StepKind
from jobs.rules.transitions import JobPhase, JobState, StepState
from storage.keys import generation_prefix
from tests.rows import (
    a_job,
    a_policy,
    a_run,
    a_video,
    an_owner,
    an_uploaded_video,
    claim_or_none,
    claimed,
    expire,
    some_facts,
    state_of,
    units_of,
)
from transcoding.errors import InputChanged, InputRejected, RateExceeded, VerificationFailed
from videos.models import Generation, SegmentRun, Video
from videos.states import GenerationState

ONCE = RetryConfig(max_failures=1, poison_attempts=1)
BROKEN = Failure(code="encoder_failed", detail="exit code 1", retryable=True)


def _retry(job: Job) -> Job:
    job_retry(owner=job.owner, job_id=job.id, policy=a_policy())
    return Job.objects.get(id=job.id)


def _refused(job: Job) -> Problem:
    with pytest.raises(Problem) as caught:
        _retry(job)
    return caught.value


def _publish(claim: Claim, *, to: int) -> None:
    """Publish what is missing of a chunk or the audio up to so many units."""
    work = step_begin(claim=claim)
    kind = "audio" if claim.kind is StepKind.AUDIO else "video"
    first = claim.payload.get("first_segment", 0) + claim.units_done
    prefix = f"{claim.step_id}-a{claim.attempt}/"
    runs = [a_run(r, first, to - claim.units_done, prefix=prefix) for r in work.renditions if r.kind == kind]
    step_publish(claim=claim, runs=runs, units_done=to)


def _carry_out(claim: Claim) -> None:
    if claim.kind is StepKind.FINISH:
        step_begin(claim=claim)
        job_complete(claim=claim, verified=[], result={})
        return
    if claim.units_done < units_of(claim):
        _publish(claim, to=units_of(claim))
    step_complete(claim=claim, result={})


def _carry_out_all() -> None:
    while claim := claim_or_none():
        _carry_out(claim)


def _chunk(ordinal: int) -> Claim:
    while (claim := claimed()).kind is not StepKind.CHUNK or claim.ordinal != ordinal:
        _carry_out(claim)
    return claim


def _failed_half_way(failure: Failure = BROKEN) -> Job:
    """Chunk 0 is done, chunk 1 has published one of its two segments and fails."""
    job = a_job(a_video(audio=False))
    claim = _chunk(1)
    _publish(claim, to=1)
    step_fail(claim=claim, failure=failure, policy=a_policy(retry=ONCE))
    return Job.objects.get(id=job.id)


@pytest.mark.django_db
def test_a_retry_keeps_what_was_published_and_does_the_rest() -> None:
    job = _failed_half_way()
    published = set(SegmentRun.objects.values_list("id", flat=True))
    again = _retry(job)
    assert (again.state, again.phase, again.open_steps) == (JobState.QUEUED, JobPhase.PLANNED, 4)
    assert (again.error_code, again.error_detail, again.finished_at, again.started_at) == ("", "", None, None)
    assert again.metadata == {"retries": 1, "segments_kept": 3, "gpu_fallback": True, "fallback_reason": "no_gpu"}
    assert Generation.objects.get().state == GenerationState.BUILDING
    states = dict(Step.objects.filter(kind=StepKind.CHUNK).values_list("ordinal", "state"))
    assert states == {0: StepState.DONE, **dict.fromkeys((1, 2, 3, 4), StepState.READY)}
    assert Step.objects.get(kind=StepKind.FINISH).state == StepState.WAITING
    half = Step.objects.get(kind=StepKind.CHUNK, ordinal=1)
    assert (half.units_done, half.failures, half.error_code, half.attempt) == (1, 0, "", 1)

    _carry_out_all()
    again.refresh_from_db()
    assert (again.state, again.open_steps, again.metadata["retries"]) == (JobState.COMPLETED, 0, 1)
    assert published < set(SegmentRun.objects.values_list("id", flat=True))
    assert sum(SegmentRun.objects.values_list("segment_count", flat=True)) == 10
    types = list(Event.objects.filter(job_id=job.id).order_by("seq").values_list("type", flat=True))
    assert types[3:] == ["job.failed", "job.retried", "job.started", "job.completed"]
    assert Event.objects.get(type="job.retried").data == {"continues_generation": 1}


@pytest.mark.django_db
def test_speed_and_time_left_of_a_retried_job_count_only_what_it_encodes_now() -> None:
    job = _failed_half_way()
    _retry(job)
    step_begin(claim=claimed())
    (view,) = job_views([jobs_of(job.owner).get(id=job.id)])
    assert view.progress > 0
    assert (view.speed, view.eta_seconds) == (None, None)


@pytest.mark.django_db
@pytest.mark.parametrize("done", range(7))
def test_a_cancelled_job_goes_on_from_wherever_it_was(done: int) -> None:
    job = a_job()  # audio, five chunks, then finish
    for _ in range(done):
        _carry_out(claimed())
    running = claimed()
    job_cancel(owner=job.owner, job_id=job.id)
    assert set(Step.objects.values_list("state", flat=True)) <= {StepState.DONE, StepState.CANCELLED}
    again = _retry(job)
    assert again.open_steps == 6 - done
    with pytest.raises(LeaseLost):
        step_complete(claim=running, result={})
    _carry_out_all()
    again.refresh_from_db()
    assert again.state == JobState.COMPLETED
    assert set(Step.objects.values_list("state", flat=True)) == {StepState.DONE}
    assert Generation.objects.count() == 1


@pytest.mark.django_db
def test_a_video_whose_beginning_people_could_watch_can_be_watched_again() -> None:
    job = _failed_half_way()
    Job.objects.filter(id=job.id).update(playable_at="2026-01-01T00:00:00Z")
    Generation.objects.filter(job_id=job.id).update(playable_at="2026-01-01T00:00:00Z")
    assert _retry(job).playable_at is not None
    assert Video.objects.get().current_generation == job.generation


@pytest.mark.django_db
@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.PROCESSING, JobState.COMPLETED])
def test_only_a_failed_or_cancelled_job_can_be_retried(state: JobState) -> None:
    job = a_job()
    if state is not JobState.QUEUED:
        step_begin(claim=claimed())
    if state is JobState.COMPLETED:
        Step.objects.filter(state=StepState.RUNNING).update(state=StepState.READY)
        _carry_out_all()
    problem = _refused(job)
    assert (problem.status, problem.code) == (409, "job_not_retryable")
    assert state in problem.detail


@pytest.mark.django_db
def test_a_retry_of_anothers_job_is_not_found() -> None:
    job = _failed_half_way()
    with pytest.raises(Problem) as caught:
        job_retry(owner=an_owner("other"), job_id=job.id, policy=a_policy())
    assert caught.value.status == 404


@pytest.mark.django_db
def test_a_rejected_source_is_not_tried_again() -> None:
    job = a_job()
    step_fail(claim=claimed(), failure=failure_of(InputRejected("the audio is broken")), policy=a_policy(retry=ONCE))
    problem = _refused(job)
    assert (problem.status, problem.code) == (422, "input_rejected")
    assert "the audio is broken" in problem.detail


@pytest.mark.django_db
def test_a_source_that_is_gone_is_not_tried_again() -> None:
    problem = _refused(_failed_half_way(failure_of(InputChanged("gone"))))
    assert (problem.status, problem.code) == (422, "input_changed")


@pytest.mark.django_db
def test_a_job_of_a_deleted_video_is_not_tried_again() -> None:
    job = _failed_half_way()
    video_delete(owner=job.owner, video_id=job.video_id)
    assert _refused(job).code == "video_deleted"


@pytest.mark.django_db
def test_a_plan_that_was_beyond_the_limits_is_made_once_the_limits_allow_it() -> None:
    job = a_job(an_uploaded_video())
    video = Video.objects.get()
    _inspected(video, seconds=3601)
    job.refresh_from_db()
    assert (job.state, job.generation) == (JobState.FAILED, None)
    with pytest.raises(InputRejected):
        _retry(job)
    policy = a_policy()
    generous = replace(policy, plan=replace(policy.plan, max_seconds=4000))
    job_retry(owner=job.owner, job_id=job.id, policy=generous)
    job.refresh_from_db()
    assert (job.state, job.phase) == (JobState.QUEUED, JobPhase.PLANNED)


@pytest.mark.django_db
def test_a_job_whose_inspection_failed_has_it_done_again() -> None:
    video = an_uploaded_video()
    job = a_job(video)
    step_fail(claim=claimed(), failure=BROKEN, policy=a_policy(retry=ONCE))
    again = _retry(job)
    assert (again.state, again.phase, again.open_steps) == (JobState.QUEUED, JobPhase.INSPECTING, 0)
    assert claimed().kind is StepKind.INSPECT


@pytest.mark.django_db
def test_a_job_cancelled_before_its_video_was_inspected_is_planned_by_the_retry() -> None:
    video = an_uploaded_video()
    job = a_job(video)
    job_cancel(owner=job.owner, job_id=job.id)
    _inspected(video)
    assert _retry(job).phase == JobPhase.PLANNED


@pytest.mark.django_db
def test_poison_is_released_with_what_it_published_and_others_never_noticed() -> None:
    job, other = a_job(a_video(audio=False)), a_job(a_video(an_owner("other"), audio=False))
    claim = claimed()
    while claim.job_id != job.id:
        _carry_out(claim)
        claim = claimed()
    for _ in range(3):
        expire(claim.step_id)
        leases_reclaim(policy=a_policy(retry=RetryConfig(poison_attempts=3, retry_base_seconds=0)))
        if state_of(claim.step_id) is StepState.READY:
            claim = _claim_again(claim)
    job.refresh_from_db()
    assert (job.state, job.error_code, job.error_retryable) == (JobState.FAILED, POISON, False)
    assert not Step.objects.filter(kind=StepKind.PURGE).exists()

    again = _retry(job)
    step = Step.objects.get(id=claim.step_id)
    assert (step.state, step.attempts_without_progress) == (StepState.READY, 0)
    _carry_out_all()
    again.refresh_from_db()
    other.refresh_from_db()
    assert (again.state, other.state) == (JobState.COMPLETED, JobState.COMPLETED)


@pytest.mark.django_db
@pytest.mark.parametrize("error", [VerificationFailed("a frame is missing"), RateExceeded("a segment has 9 b/s")])
def test_a_generation_whose_verification_failed_is_planned_again_and_removed(error: VerificationFailed) -> None:
    job = a_job()
    for _ in range(6):
        _carry_out(claimed())
    step_fail(claim=claimed(), failure=failure_of(error), policy=a_policy(retry=ONCE))
    again = _retry(job)
    assert again.generation is not None
    assert (again.generation.number, again.open_steps, again.metadata["segments_kept"]) == (2, 6, 0)
    purged = Step.objects.filter(kind=StepKind.PURGE).values_list("payload__prefix", flat=True)
    assert set(purged) == {generation_prefix(job.video_id, 1)}


@pytest.mark.django_db
def test_a_plan_that_this_version_cannot_read_is_made_again() -> None:
    job = _failed_half_way()
    Generation.objects.update(plan={"version": 0})
    again = _retry(job)
    assert again.generation is not None
    assert again.generation.number == 2


def _purged(job: Job) -> UUID:
    """Have an abandoned generation removed, as the janitor does."""
    generation = Generation.objects.get()
    purge_request(video=job.video, prefix=generation_prefix(job.video_id, generation.number))
    return Step.objects.get(kind=StepKind.PURGE).id


@pytest.mark.django_db
def test_a_purge_that_has_not_started_is_withdrawn() -> None:
    job = _failed_half_way()
    purge = _purged(job)
    again = _retry(job)
    assert again.generation is not None
    assert again.generation.number == 1
    assert state_of(purge) is StepState.CANCELLED


@pytest.mark.django_db
@pytest.mark.parametrize(
    "end",
    [
        lambda _: None,
        lambda claim: step_fail(claim=claim, failure=BROKEN, policy=a_policy(retry=RetryConfig())),
        lambda claim: Step.objects.filter(id=claim.step_id).update(state=StepState.DONE),
    ],
    ids=["running", "to be tried again", "done"],
)
def test_nothing_that_a_purge_has_started_to_remove_is_used_again(end: Callable[[Claim], object]) -> None:
    job = _failed_half_way()
    _purged(job)
    Step.objects.filter(kind=StepKind.PURGE).update(rank_at="2020-01-01T00:00:00Z", not_before=None, state="ready")
    claim = claimed()
    assert claim.kind is StepKind.PURGE
    end(claim)
    again = _retry(job)
    assert again.generation is not None
    assert (again.generation.number, again.playable_at) == (2, None)
    kinds = Step.objects.filter(generation=again.generation).values_list("state", flat=True)
    assert set(kinds) == {StepState.READY, StepState.WAITING}
    assert again.open_steps == 5


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_number", range(4))
def test_a_retry_and_the_removal_of_what_it_needs_never_both_win(round_number: int) -> None:
    job = _failed_half_way()
    _purged(job)
    Step.objects.filter(kind=StepKind.PURGE).update(not_before=None, state="ready")
    barrier = Barrier(2)

    def claim() -> Claim | None:
        try:
            barrier.wait()
            return claim_or_none()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        racing = pool.submit(claim)
        barrier.wait()
        again = _retry(job)
        won = racing.result()
    assert again.generation is not None
    started = won is not None and won.kind is StepKind.PURGE
    assert again.generation.number == (2 if started else 1)


@pytest.mark.django_db(transaction=True)
def test_of_many_retries_at_once_one_is_taken() -> None:
    job = _failed_half_way()
    barrier = Barrier(4)

    def retry() -> bool:
        try:
            barrier.wait()
            _retry(job)
        except Problem:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: retry(), range(4))) == 1
    assert Job.objects.get().open_steps == 4
    assert Event.objects.filter(type="job.retried").count() == 1


@pytest.mark.django_db
def test_a_video_deleted_after_a_retry_still_waits_for_the_attempt_before_it() -> None:
    job = a_job()
    claimed(lease_seconds=60)
    job_cancel(owner=job.owner, job_id=job.id)
    _retry(job)
    video_delete(owner=job.owner, video_id=job.video_id)
    assert Step.objects.get(kind=StepKind.PURGE).state == StepState.DELAYED


CANCELLABLE: dict[str, Callable[[], Job]] = {
    "waits for the inspection": lambda: a_job(an_uploaded_video()),
    "queued": a_job,
    "running": lambda: _running(a_job()),
    "finishing": lambda: _finishing(a_job()),
}


@pytest.mark.django_db
@pytest.mark.parametrize("moment", CANCELLABLE)
def test_cancelling_works_at_every_moment_before_the_end(moment: str) -> None:
    job = CANCELLABLE[moment]()
    job_cancel(owner=job.owner, job_id=job.id)
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED
    assert not Step.objects.filter(job=job).exclude(state__in=(StepState.DONE, StepState.CANCELLED)).exists()
    with pytest.raises(Problem):
        job_cancel(owner=job.owner, job_id=job.id)


def _running(job: Job) -> Job:
    step_begin(claim=claimed())
    return job


def _finishing(job: Job) -> Job:
    claim = claimed()
    while claim.kind is not StepKind.FINISH:
        _carry_out(claim)
        claim = claimed()
    step_begin(claim=claim)
    return job


def _claim_again(claim: Claim) -> Claim:
    Step.objects.filter(id=claim.step_id).update(rank_at="2020-01-01T00:00:00Z")
    again = claimed()
    while again.step_id != claim.step_id:
        _carry_out(again)
        again = claimed()
    return again


def _inspected(video: Video, *, seconds: int = 40) -> None:
    video_inspected(
        claim=claimed(), facts=some_facts(seconds=seconds), media={}, warnings=[], policy=a_policy(), result={}
    )
    video.refresh_from_db()
