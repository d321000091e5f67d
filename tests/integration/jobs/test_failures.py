from __future__ import annotations

import pytest
from django.db.models.functions import Now

from configuration import RetryConfig
from events.models import Event
from jobs.leasing.leases import LeaseLost
from jobs.leasing.steps import step_begin, step_complete, step_publish
from jobs.lifecycle.failures import step_fail, steps_promote
from jobs.lifecycle.inspection import inspect_request
from jobs.models import Job, Step
from jobs.rules.retry import Failure, failure_of
from jobs.rules.steps import StepKind
from jobs.rules.transitions import JobState, StepState
from storage.errors import StorageRefused, StorageUnavailable
from storage.keys import generation_prefix, video_prefix
from tests.rows import a_job, a_policy, a_run, a_video, an_uploaded_video, claim_or_none, claimed, state_of
from transcoding.errors import InputChanged, InputRejected, TranscodeError
from videos.models import Generation, Rendition, Video
from videos.states import GenerationState, VideoState

pytestmark = pytest.mark.django_db

RETRY = RetryConfig(max_failures=3)
BROKEN = Failure(code="encoder_failed", detail="exit code 1", retryable=True)
BAD_INPUT = failure_of(InputRejected("the video track is empty"))


def _purged_prefixes() -> list[str]:
    return [step.payload["prefix"] for step in Step.objects.filter(kind=StepKind.PURGE)]


def test_a_failure_of_ours_is_tried_again_after_a_pause() -> None:
    a_job()
    claim = claimed()
    assert (
        step_fail(claim=claim, failure=BROKEN, policy=a_policy(retry=RETRY), result={"log": "x"}) is StepState.DELAYED
    )
    step = Step.objects.annotate(now=Now()).get(id=claim.step_id)
    assert step.not_before is not None
    assert 0 < (step.not_before - step.now).total_seconds() <= RETRY.retry_base_seconds
    assert (step.failures, step.error_code, step.result) == (1, "encoder_failed", {"log": "x"})
    assert claim_or_none() != claim


def test_a_delayed_step_is_ready_when_its_time_has_come_and_keeps_its_rank() -> None:
    a_job()
    claim = claimed()
    rank = Step.objects.get(id=claim.step_id).rank_at
    step_fail(claim=claim, failure=BROKEN, policy=a_policy(retry=RETRY))
    assert steps_promote() == 0
    Step.objects.filter(id=claim.step_id).update(not_before=Now())
    assert steps_promote() == 1
    step = Step.objects.get(id=claim.step_id)
    assert (step.state, step.not_before, step.rank_at) == (StepState.READY, None, rank)


def test_the_last_allowed_failure_fails_the_job_and_stops_its_other_steps() -> None:
    job = a_job()
    first, other = claimed(), claimed(pid=2)
    Step.objects.filter(id=first.step_id).update(failures=RETRY.max_failures - 1)
    assert step_fail(claim=first, failure=BROKEN, policy=a_policy(retry=RETRY)) is StepState.FAILED
    job.refresh_from_db()
    assert (job.state, job.error_code, job.error_detail) == (JobState.FAILED, "encoder_failed", "exit code 1")
    assert job.error_retryable
    states = dict(Step.objects.filter(job=job).values_list("id", "state"))
    assert states.pop(first.step_id) == StepState.FAILED
    assert set(states.values()) == {StepState.CANCELLED}
    assert Generation.objects.get().state == GenerationState.ABANDONED
    with pytest.raises(LeaseLost):
        step_begin(claim=other)
    assert _purged_prefixes() == []  # another try may go on from what is published


def test_a_fault_that_no_retry_can_cure_fails_at_once_and_removes_what_was_made() -> None:
    job = a_job()
    claim = claimed()
    assert (
        step_fail(claim=claim, failure=failure_of(InputChanged("gone")), policy=a_policy(retry=RETRY))
        is StepState.FAILED
    )
    job.refresh_from_db()
    assert (job.state, job.error_code, job.error_retryable) == (JobState.FAILED, "input_changed", False)
    assert _purged_prefixes() == [generation_prefix(job.video_id, 1)]


def test_a_removal_waits_for_the_leases_of_cancelled_steps() -> None:
    a_job()
    first, other = claimed(), claimed(pid=2)
    step_fail(claim=first, failure=failure_of(InputChanged("gone")), policy=a_policy(retry=RETRY))
    purge = Step.objects.get(kind=StepKind.PURGE)
    assert purge.state == StepState.DELAYED
    assert purge.not_before == Step.objects.get(id=other.step_id).lease_expires_at


def test_input_that_turns_out_bad_later_rejects_the_video_with_all_its_jobs() -> None:
    video = a_video()
    jobs = [a_job(video), a_job(video)]
    step_fail(claim=claimed(), failure=BAD_INPUT, policy=a_policy(retry=RETRY))
    video.refresh_from_db()
    assert (video.state, video.error_code) == (VideoState.REJECTED, "input_rejected")
    for job in jobs:
        job.refresh_from_db()
        assert (job.state, job.error_code) == (JobState.FAILED, "input_rejected")
    assert _purged_prefixes() == [video_prefix(video.id)]


def test_a_video_that_already_plays_is_not_rejected() -> None:
    job = a_job()
    Video.objects.update(current_generation=Generation.objects.get())
    step_fail(claim=claimed(), failure=BAD_INPUT, policy=a_policy(retry=RETRY))
    assert Video.objects.get().state == VideoState.READY
    assert _purged_prefixes() == [generation_prefix(job.video_id, 1)]


def test_an_inspection_that_finds_no_video_rejects_it() -> None:
    video = an_uploaded_video()
    job = a_job(video)
    step_fail(claim=claimed(), failure=BAD_INPUT, policy=a_policy(retry=RETRY))
    video.refresh_from_db()
    job.refresh_from_db()
    assert (video.state, video.error_code, video.error_detail) == (
        VideoState.REJECTED,
        "input_rejected",
        "the video track is empty",
    )
    assert (job.state, job.error_code) == (JobState.FAILED, "input_rejected")
    assert _purged_prefixes() == [video_prefix(video.id)]


def test_an_inspection_that_fails_through_us_can_be_requested_again() -> None:
    video = an_uploaded_video()
    job = a_job(video)
    claim = claimed()
    Step.objects.filter(id=claim.step_id).update(failures=RETRY.max_failures - 1)
    step_fail(claim=claim, failure=failure_of(StorageUnavailable("k")), policy=a_policy(retry=RETRY))
    video.refresh_from_db()
    job.refresh_from_db()
    assert (video.state, video.error_code) == (VideoState.UPLOADED, "storage_unavailable")
    assert (job.state, job.error_retryable) == (JobState.FAILED, True)
    again = a_job(video)
    assert again.state == JobState.QUEUED
    assert claimed().kind is StepKind.INSPECT


def test_an_inspection_that_kills_its_workers_rejects_the_video() -> None:
    video = an_uploaded_video()
    inspect_request(video=video, priority=50, rank=a_policy().rank)
    claim = claimed()
    lost = Failure(code="worker_lost", retryable=True, lost=True)
    Step.objects.filter(id=claim.step_id).update(attempts_without_progress=RETRY.poison_attempts)
    assert step_fail(claim=claim, failure=lost, policy=a_policy(retry=RETRY)) is StepState.FAILED
    video.refresh_from_db()
    assert (video.state, video.error_code) == (VideoState.REJECTED, "poison")


@pytest.mark.parametrize(
    "error", [StorageUnavailable("k"), StorageRefused("k", "AccessDenied"), TranscodeError("a bug")]
)
def test_a_removal_is_never_given_up(error: TranscodeError) -> None:
    """Also where the store refuses it: somebody may mend its policy tomorrow."""
    video = a_video()
    Step.objects.create(owner=video.owner, video=video, kind=StepKind.PURGE, rank_at=Now(), failures=1000)
    claim = claimed()
    state = step_fail(claim=claim, failure=failure_of(error), policy=a_policy(retry=RETRY))
    assert state is StepState.DELAYED
    purge = Step.objects.get(id=claim.step_id)
    assert (purge.failures, purge.error_code) == (1001, error.code)


def test_failing_after_the_lease_is_lost_says_so() -> None:
    job = a_job()
    claim = claimed()
    Step.objects.filter(id=claim.step_id).update(attempt=2)
    with pytest.raises(LeaseLost):
        step_fail(claim=claim, failure=BROKEN, policy=a_policy(retry=RETRY))
    job.refresh_from_db()
    assert job.state == JobState.QUEUED


def test_a_retry_goes_on_from_the_first_unpublished_segment() -> None:
    a_job(a_video(audio=False))
    claim = claimed()
    rendition = Rendition.objects.get(kind="video")
    step_publish(claim=claim, runs=[a_run(rendition, claim.payload["first_segment"])], units_done=1)
    step_fail(claim=claim, failure=BROKEN, policy=a_policy(retry=RETRY))
    Step.objects.filter(id=claim.step_id).update(state=StepState.READY, not_before=None)
    again = claimed()
    assert (again.step_id, again.attempt, again.units_done, again.units_total) == (claim.step_id, 2, 1, 2)


def test_events_are_numbered_without_gaps() -> None:
    job = a_job()
    claim = claimed()
    step_begin(claim=claim)
    step_fail(claim=claim, failure=failure_of(InputChanged("gone")), policy=a_policy(retry=RETRY))
    events = list(Event.objects.filter(job_id=job.id).order_by("seq").values_list("seq", "type"))
    assert events == [(1, "job.queued"), (2, "job.planned"), (3, "job.started"), (4, "job.failed")]
    failed = Event.objects.get(job_id=job.id, type="job.failed")
    assert failed.data["error"]["code"] == "input_changed"


def test_a_second_completion_by_the_same_attempt_is_recognised() -> None:
    job = a_job(a_video(audio=False))
    Step.objects.filter(job=job, kind=StepKind.CHUNK).update(units_total=0)
    claim = claimed()
    step_complete(claim=claim, result={})
    step_complete(claim=claim, result={})  # the answer to the first commit was lost
    assert state_of(claim.step_id) is StepState.DONE
    assert Job.objects.get().open_steps == 4
