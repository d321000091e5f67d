"""Device watch: no job waits for ever for a GPU that is gone or always busy. It falls back to the CPU, or fails."""

from datetime import timedelta
from functools import reduce
from operator import or_
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from events.types import EventType
from jobs.changes.endings import job_fail
from jobs.changes.events import event_append
from jobs.changes.locks import job_lock, video_lock
from jobs.models import Job, Step
from jobs.planning.fallback import job_fall_back, may_fall_back
from jobs.planning.plans import Waiting, job_plan
from jobs.planning.requests import job_request
from jobs.planning.routing import DEVICE_FAILURES, FallbackReason, GpuUnavailable, sessions_for
from jobs.rules.policy import JobPolicy
from jobs.rules.retry import failure_of
from jobs.rules.transitions import JOB_ENDS, JobState, StepState
from transcoding.errors import DeviceBusy, TranscodeError

# A loose index scan: one index lookup for each distinct (encoder, sessions, error code), however many steps have it.
_LANES = """
WITH RECURSIVE lanes AS (
    (SELECT encoder, sessions, error_code FROM jobs_step WHERE state IN ('delayed', 'ready') AND sessions > 0
     ORDER BY encoder, sessions, error_code LIMIT 1)
  UNION ALL
    SELECT further.* FROM lanes CROSS JOIN LATERAL (
        SELECT step.encoder, step.sessions, step.error_code FROM jobs_step step
        WHERE step.state IN ('delayed', 'ready') AND step.sessions > 0
          AND (step.encoder, step.sessions, step.error_code) > (lanes.encoder, lanes.sessions, lanes.error_code)
        ORDER BY step.encoder, step.sessions, step.error_code LIMIT 1
    ) further
)
SELECT encoder, sessions, error_code FROM lanes
"""
_BATCH = 100
_BUSY = Q(error_code=DeviceBusy.code)
_RUNS_WELL = Q(state=StepState.RUNNING) & (~_BUSY | Q(attempts_without_progress=0))


def devices_watch(*, policy: JobPolicy) -> None:
    """Mark jobs that wait for a device, and fall back to the CPU or fail those that have waited long enough.

    1. Steps are stuck when no live device meets their requirement, or when they last found it busy with others.
    2. A job with stuck steps and none that runs well gets `waiting_since`; it loses it when a device runs its steps.
    3. After `node_silence_seconds` without a device, or `gpu_wait_seconds` where devices are only busy, the job falls
       back to the CPU. A job that requires a GPU fails after `gpu_wait_seconds`.
    """
    stuck = _stuck_steps(policy)
    jobs = Job.objects.filter(finished_at=None)
    unmarked = jobs.filter(waiting_since=None, id__in=stuck.values("job"))
    # In random order: a batch of jobs that go on waiting does not hold up the others.
    waiting = jobs.filter(waiting_since__isnull=False).order_by("?")
    for which in (unmarked, waiting):
        for job_id, video_id in which.values_list("id", "video")[:_BATCH]:
            _locked(job_id, video_id, stuck, policy)


def _stuck_steps(policy: JobPolicy) -> QuerySet[Step]:
    """Return the ready and delayed steps whose requirement no device meets, or that found every device busy."""
    with connection.cursor() as cursor:
        cursor.execute(_LANES)
        lanes = cursor.fetchall()
    offered = {(requirement, count): _offered(requirement, count, policy) for requirement, count, _ in lanes}
    stuck = [
        Q(encoder=requirement, sessions=count, error_code=code)
        for requirement, count, code in lanes
        if code == DeviceBusy.code or not offered[requirement, count]
    ]
    waiting = Step.objects.filter(state__in=(StepState.READY, StepState.DELAYED), sessions__gt=0)
    return waiting.filter(reduce(or_, stuck)) if stuck else Step.objects.none()


def _offered(requirement: str, sessions: int, policy: JobPolicy) -> bool:
    offered = sessions_for(requirement, silence_seconds=policy.silence_seconds)
    return offered is not None and offered >= sessions


@transaction.atomic
def _locked(job_id: UUID, video_id: UUID, stuck: QuerySet[Step], policy: JobPolicy) -> None:
    """Read the job again under its locks, and move it as `devices_watch` says."""
    video, job = video_lock(video_id), job_lock(job_id)
    if job.state in JOB_ENDS or job.state == JobState.PAUSED:
        return
    steps = Step.objects.filter(generation=job.generation_id)
    try:
        if job.generation_id is None:
            if job_plan(job=job, video=video, requested=job_request(job.request), policy=policy) is Waiting.GPU:
                _give_up_after(job, policy.gpu.gpu_wait_seconds)
        elif steps.filter(_RUNS_WELL).exclude(encoder="").exists() or not stuck.filter(job=job).exists():
            Job.objects.filter(id=job.id).update(waiting_since=None)
        elif job.waiting_since is None:
            Job.objects.filter(id=job.id).update(waiting_since=Now())
            event_append(job_id=job.id, type=EventType.JOB_WAITING, data={"for": "gpu"})
        elif not may_fall_back(job, policy):
            _give_up_after(job, policy.gpu.gpu_wait_seconds)
        elif _waited(job, policy.gpu.gpu_wait_seconds if _only_busy(job, stuck) else policy.silence_seconds):
            job_fall_back(job=job, video=video, reason=_reason(job, stuck), policy=policy)
    except TranscodeError as error:
        job_fail(job=job, failure=failure_of(error))


def _reason(job: Job, stuck: QuerySet[Step]) -> str:
    """Return why a job leaves the GPUs: what its last attempt on one failed of, if the device was to blame."""
    if _only_busy(job, stuck):
        return DeviceBusy.code
    failed = stuck.filter(job=job, error_code__in=DEVICE_FAILURES).first()
    return failed.error_code if failed else FallbackReason.GPU_UNAVAILABLE


def _only_busy(job: Job, stuck: QuerySet[Step]) -> bool:
    return not stuck.filter(job=job).exclude(_BUSY).exists()


def _give_up_after(job: Job, seconds: float) -> None:
    """Raise GpuUnavailable for a job that has waited for a device for so many seconds."""
    if _waited(job, seconds):
        raise GpuUnavailable(f"no GPU that can encode it was there for {seconds:.0f} s")


def _waited(job: Job, seconds: float) -> bool:
    return Job.objects.filter(id=job.id, waiting_since__lt=Now() - timedelta(seconds=seconds)).exists()
