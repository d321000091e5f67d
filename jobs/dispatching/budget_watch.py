"""Budget watch: plans the jobs that waited for other jobs of their owner to end."""

import logging
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import QuerySet

from access.models import Owner
from jobs.changes.endings import job_fail
from jobs.changes.locks import job_lock, video_lock
from jobs.models import Job
from jobs.planning.budget import fits, open_work_seconds
from jobs.planning.plans import job_plan
from jobs.planning.requests import job_request
from jobs.rules.policy import JobPolicy
from jobs.rules.retry import failure_of
from jobs.rules.transitions import JobPhase, JobState
from transcoding.errors import TranscodeError

log = logging.getLogger(__name__)

_OWNERS = 100
_JOBS_OF_ONE_OWNER = 10


def held_jobs_plan(*, policy: JobPolicy) -> None:
    """Plan held jobs whose owner has room for them, each owner's oldest first, some of each owner at a time."""
    # In random order: a hundred owners whose jobs go on waiting do not hold up the others.
    owners = Owner.objects.filter(id__in=_held().values("owner")).order_by("?")
    for owner_id in owners.values_list("id", flat=True)[:_OWNERS]:
        open_seconds = open_work_seconds(owner_id)
        jobs = _held().filter(owner=owner_id).order_by("created_at", "id")
        for job_id, video_id, work in jobs.values_list("id", "video", "work_seconds")[:_JOBS_OF_ONE_OWNER]:
            if not fits(work, open_seconds=open_seconds, max_seconds=policy.max_owner_work_seconds):
                break
            try:
                _plan(job_id, video_id, policy)
            except (OperationalError, InterfaceError):
                raise
            except Exception:  # one broken job must not keep the others from being planned
                log.exception("held job not planned", extra={"event": "held_job_failed", "job": str(job_id)})
                continue
            open_seconds += work


def _held() -> QuerySet[Job]:
    """Select the jobs that wait, but not for a device."""
    return Job.objects.filter(finished_at=None, phase=JobPhase.WAITING, waiting_since=None)


@transaction.atomic
def _plan(job_id: UUID, video_id: UUID, policy: JobPolicy) -> None:
    """Read the job again under its locks, and plan it."""
    video, job = video_lock(video_id), job_lock(job_id)
    if job.state != JobState.QUEUED or job.phase != JobPhase.WAITING or job.generation_id:
        return
    try:
        job_plan(job=job, video=video, requested=job_request(job.request), policy=policy)
    except TranscodeError as error:
        job_fail(job=job, failure=failure_of(error))
