"""Failed attempts: reported by a worker, or found out by an expired lease; retry, fall back to the CPU or give up."""

import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from configuration import RetryConfig
from jobs.changes.endings import job_fail, open_jobs_lock, video_refuse
from jobs.changes.locks import job_lock, video_lock
from jobs.changes.wake import dispatcher_wake
from jobs.leasing.claim import Claim, claim_of
from jobs.leasing.leases import LeaseLost, fenced, unheld
from jobs.lifecycle.delivering import delivery_fail
from jobs.lifecycle.texts import texts_lose
from jobs.lifecycle.thumbnails import thumbnails_fail
from jobs.models import Job, Step
from jobs.planning.fallback import job_fall_back, may_fall_back
from jobs.planning.routing import blames_device, sessions_for
from jobs.rules.policy import JobPolicy
from jobs.rules.retry import POISON, WORKER_LOST, Failure, Retry, decide_retry, failure_of, source_at_fault
from jobs.rules.steps import STEPS, Loss, StepKind
from jobs.rules.transitions import StepState
from observability import metrics
from transcoding.errors import TranscodeError
from videos.models import Video
from videos.services import video_record_error
from videos.states import HIDDEN_STATES, VideoState

log = logging.getLogger(__name__)

_BATCH = 100
_PROMOTED_AT_A_TIME = 1000
_FOR_EVER = 2**31
_LIVE_PAUSE_SECONDS = 0.25
_LIVE_MAX_PAUSE_SECONDS = 2.0
"""Pauses between attempts of a live step: the first and the longest."""
_CLAIMED = Step.objects.filter(state=StepState.RUNNING, video__isnull=False)
"""Steps that workers run. Those without a video are slots of a relay (see jobs.leasing.relay)."""


@transaction.atomic
def step_fail(
    *, claim: Claim, failure: Failure, policy: JobPolicy, result: Mapping[str, object] | None = None
) -> StepState:
    """End a failed attempt: retry the step, fall back to the CPU, or give up. Raises LeaseLost.

    Returns the step's new state. `result` is stored for operators: the end of a log, timings.
    """
    state = _end_attempt(fenced(claim), claim, failure, policy)
    if state is None:
        raise LeaseLost(claim)
    if result is not None:
        Step.objects.filter(id=claim.step_id).update(result=dict(result))
    return state


def leases_reclaim(*, policy: JobPolicy) -> int:
    """Reclaim steps whose lease has expired. Return their number. Several processes may do this at once."""
    return _reclaim(_CLAIMED.filter(lease_expires_at__lt=Now()), policy)


def leases_release(*, node: str, pid: int, policy: JobPolicy) -> int:
    """Release the steps of a worker process that is known to be dead. Return their number."""
    return _reclaim(_CLAIMED.filter(node=node, worker_pid=pid), policy)


def steps_promote() -> int:
    """Make delayed steps ready whose time has come. Return their number."""
    due = Step.objects.filter(state=StepState.DELAYED, not_before__lte=Now())
    with transaction.atomic():
        oldest = due.order_by("not_before").select_for_update(skip_locked=True)
        ids = list(oldest.values_list("id", flat=True)[:_PROMOTED_AT_A_TIME])
        promoted = due.filter(id__in=ids).update(state=StepState.READY, not_before=None) if ids else 0
        if promoted:
            dispatcher_wake()
    return promoted


def _reclaim(lost: QuerySet[Step], policy: JobPolicy) -> int:
    taken = 0
    for step in lost.order_by("lease_expires_at")[:_BATCH]:
        claim = claim_of(step)
        try:
            with transaction.atomic():
                state = _end_attempt(lost.filter(id=step.id, attempt=step.attempt), claim, WORKER_LOST, policy)
        except IntegrityError:  # one broken row must not keep the others from being reclaimed
            log.exception("lease not reclaimed", extra={"event": "reclaim_failed", "step": str(step.id)})
            continue
        if state is not None:
            taken += 1
            log.warning("lease reclaimed", extra={"event": "lease_reclaimed", "step": str(step.id), "state": state})
    return taken


@dataclass(frozen=True, slots=True)
class _Held:
    """The rows that the end of a step may change, locked before the step."""

    video: Video | None
    job: Job | None


def _end_attempt(held: QuerySet[Step], claim: Claim, failure: Failure, policy: JobPolicy) -> StepState | None:
    """End a running attempt. Returns the step's new state; None: `held` finds no row, somebody else was first."""
    # 1. Everybody locks video, then job, then step. So the rows that the outcome may change are locked before the step
    #    is read, by what the failure could come to.
    above = _lock_above(claim, failure)
    # 2. Only now the fence: while this waited for the locks, the attempt may have ended in another way.
    step = held.select_for_update(no_key=True).first()
    if step is None:
        return None
    transaction.on_commit(partial(metrics.STEP_FAILURES.add, kind=claim.kind.value, code=failure.code))
    spec = STEPS[claim.kind]
    if spec.retries_forever or spec.live:  # also where only an operator can help: the store refuses our key, say
        failure = replace(failure, retryable=True)
    # 3. The retry policy decides whether another attempt follows.
    decision = decide_retry(
        failure,
        failures=step.failures,
        attempts_without_progress=step.attempts_without_progress,
        policy=_retry_policy(claim.kind, policy.retry),
        jitter=random.random(),  # noqa: S311 - spreads retries, guards nothing
    )
    # 4. Where the device is to blame and no other one is left, another attempt on a GPU would only wait: the CPU is
    #    better than a retry, if the job may use it.
    falls_back = _may_leave_the_gpu(step, above, failure, policy)
    if decision and not (falls_back and blames_device(failure) and not _device_left(step, policy)):
        return _put_back(step, failure, decision)
    # 5. No retry is left. A step that lost worker after worker is not "worker_lost" any more, it is poison.
    verdict = replace(failure, code=POISON, retryable=False) if failure.lost else failure
    # 6. Before a job fails for what its GPU steps cannot do, the CPU tries: the old generation's other steps are
    #    cancelled with this one.
    if falls_back and above.job and above.video:
        _end(step, verdict)
        _fall_back(above.job, above.video, verdict, policy)
        return StepState.FAILED
    return _give_up(step, above, verdict)


def _fall_back(job: Job, video: Video, failure: Failure, policy: JobPolicy) -> None:
    try:
        job_fall_back(job=job, video=video, reason=failure.code, policy=policy)
    except TranscodeError as error:  # it is too much for the CPU
        job_fail(job=job, failure=failure_of(error))


def _may_leave_the_gpu(step: Step, above: _Held, failure: Failure, policy: JobPolicy) -> bool:
    """Return True if the job may fall back to the CPU. A source at fault would fail there, too."""
    leaves = step.encoder and not STEPS[StepKind(step.kind)].live  # whoever has a live one next chooses again
    return bool(leaves and not source_at_fault(failure) and above.job and may_fall_back(above.job, policy))


def _device_left(step: Step, policy: JobPolicy) -> bool:
    """Return True if a live device meets the step's requirement: another one, or this one on another try."""
    sessions = sessions_for(step.encoder, silence_seconds=policy.silence_seconds)
    return sessions is not None and sessions >= step.sessions


def _lock_above(claim: Claim, failure: Failure) -> _Held:
    spec = STEPS[claim.kind]
    refuses = spec.rejects_video or spec.loss or failure.input_at_fault
    return _Held(
        video=video_lock(claim.video_id) if refuses or claim.device else None,
        job=job_lock(claim.job_id) if claim.job_id else None,
    )


def _retry_policy(kind: StepKind, retry: RetryConfig) -> RetryConfig:
    """Return the policy for a kind: some never give up, others soon, as nothing depends on them."""
    spec = STEPS[kind]
    if spec.retries_forever or spec.live:
        retry = replace(retry, max_failures=_FOR_EVER, poison_attempts=_FOR_EVER)
    if spec.live:  # somebody watches: what is not encoded now is lost
        base = min(retry.retry_base_seconds, _LIVE_PAUSE_SECONDS)
        retry = replace(retry, retry_base_seconds=base, retry_max_seconds=_LIVE_MAX_PAUSE_SECONDS)
    return replace(retry, max_failures=min(retry.max_failures, spec.max_failures)) if spec.max_failures else retry


def _put_back(step: Step, failure: Failure, decision: Retry) -> StepState:
    delayed = decision.delay_seconds > 0
    state = StepState.DELAYED if delayed else StepState.READY
    Step.objects.filter(id=step.id).update(
        state=state,
        not_before=Now() + timedelta(seconds=decision.delay_seconds) if delayed else None,
        failures=decision.failures,
        error_code=failure.code,
        error_detail=failure.detail,
        **unheld(StepKind(step.kind)),
    )
    dispatcher_wake()
    return state


def _end(step: Step, failure: Failure) -> None:
    Step.objects.filter(id=step.id).update(
        state=StepState.FAILED,
        finished_at=Now(),
        lease_expires_at=None,
        error_code=failure.code,
        error_detail=failure.detail,
    )


_LOSE: Mapping[Loss, Callable[[Step, Video, Failure], None]] = {
    Loss.IMAGES: lambda _, video, failure: thumbnails_fail(video=video, code=failure.code, detail=failure.detail),
    Loss.TEXTS: lambda _, video, failure: texts_lose(video=video, code=failure.code, reason=failure.detail),
    Loss.DELIVERY: lambda step, _, failure: delivery_fail(step=step, code=failure.code, detail=failure.detail),
}


def _give_up(step: Step, above: _Held, failure: Failure) -> StepState:
    _end(step, failure)
    loss = STEPS[StepKind(step.kind)].loss
    if loss and above.video:
        _LOSE[loss](step, above.video, failure)
    elif above.video and _refuses(step, above.video, failure):
        video_refuse(video=above.video, failure=failure)
    elif above.job:
        job_fail(job=above.job, failure=failure)
    elif above.video:
        _inspection_give_up(above.video, failure)
    return StepState.FAILED


def _refuses(step: Step, video: Video, failure: Failure) -> bool:
    """Return True if the source is at fault, or never comes, and the video has nothing that plays."""
    spec = STEPS[StepKind(step.kind)]
    blamed = failure.input_at_fault or spec.always_rejects_video or (failure.code == POISON and spec.rejects_video)
    return blamed and video.current_generation_id is None and video.state not in (VideoState.REJECTED, *HIDDEN_STATES)


def _inspection_give_up(video: Video, failure: Failure) -> None:
    """Fail the jobs that wait for an inspection. The source is not at fault, so the next job requests another one."""
    video_record_error(video=video, code=failure.code, detail=failure.detail, details=failure.details)
    for job in open_jobs_lock(video):
        job_fail(job=job, failure=failure)
