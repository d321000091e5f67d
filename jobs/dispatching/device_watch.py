"""Looking after jobs that have no device: what a GPU is to do must not wait for one that will never be there again."""

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
from jobs.planning.plans import job_plan
from jobs.planning.routing import FallbackReason, GpuUnavailable, sessions_for
from jobs.rules.policy import JobPolicy
from jobs.rules.retry import failure_of
from jobs.rules.transitions import JOB_ENDS, JobState, StepState
from transcoding.errors import DeviceBusy, TranscodeError

# From one kind of requirement to the next on the index of steps that wait for devices, however many have it.
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
_RUNS_WELL = Q(state=StepState.RUNNING) & (~_BUSY | Q(barren_attempts=0))


def devices_watch(*, policy: JobPolicy) -> None:
    """Note which jobs have no device, and have those that waited long enough done on the CPU, or fail.

    Devices that are there but always busy with the work of others count as none.
    """
    stuck = _stuck_steps(policy)
    jobs = Job.objects.filter(finished_at=None)
    unnoticed = jobs.filter(waiting_since=None, id__in=stuck.values("job"))
    waiting = jobs.filter(waiting_since__isnull=False).order_by("?")  # nobody is behind a batch that waits on
    for which in (unnoticed, waiting):
        for job_id, video_id in which.values_list("id", "video")[:_BATCH]:
            _locked(job_id, video_id, stuck, policy)


def _stuck_steps(policy: JobPolicy) -> QuerySet[Step]:
    """Steps that wait for what no device offers, or found none that was not busy."""
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
    """Look again under the locks, and act."""
    video, job = video_lock(video_id), job_lock(job_id)
    if job.state in JOB_ENDS or job.state == JobState.PAUSED:
        return
    steps = Step.objects.filter(generation=job.generation_id)
    try:
        if job.generation_id is None:
            job_plan(job=job, video=video, policy=policy)
            _give_up_after(job, policy.gpu.gpu_wait_seconds)
        elif steps.filter(_RUNS_WELL).exclude(encoder="").exists() or not stuck.filter(job=job).exists():
            Job.objects.filter(id=job.id).update(waiting_since=None)
        elif job.waiting_since is None:
            Job.objects.filter(id=job.id).update(waiting_since=Now())
            event_append(job_id=job.id, type=EventType.JOB_WAITING, data={"for": "gpu"})
        elif not may_fall_back(job, policy):
            _give_up_after(job, policy.gpu.gpu_wait_seconds)
        elif _waited(job, policy.gpu.gpu_wait_seconds if _only_busy(job, stuck) else policy.silence_seconds):
            reason = DeviceBusy.code if _only_busy(job, stuck) else FallbackReason.GPU_UNAVAILABLE
            job_fall_back(job=job, video=video, reason=reason, policy=policy)
    except TranscodeError as error:
        job_fail(job=job, failure=failure_of(error))


def _only_busy(job: Job, stuck: QuerySet[Step]) -> bool:
    return not stuck.filter(job=job).exclude(_BUSY).exists()


def _give_up_after(job: Job, seconds: float) -> None:
    """Raise GpuUnavailable for a job that is still without a device after so long."""
    if _waited(job, seconds):
        raise GpuUnavailable(f"no GPU that can encode it was there for {seconds:.0f} s")


def _waited(job: Job, seconds: float) -> bool:
    return Job.objects.filter(id=job.id, waiting_since__lt=Now() - timedelta(seconds=seconds)).exists()
