"""What people can ask for. Locks go video, job, step (see jobs.locks)."""

from typing import Any
from uuid import UUID

from django.db import transaction

from access.models import Owner
from api.problems import Problem, not_found
from jobs.endings import job_stop, open_jobs_lock, purge_request, steps_cancel
from jobs.events import event_append
from jobs.inspection import inspect_request
from jobs.locks import job_lock
from jobs.models import Job
from jobs.planning import job_plan
from jobs.policy import JobPolicy
from jobs.transitions import JobState, StepKind, job_sources
from storage.keys import video_prefix
from videos.models import Video
from videos.selectors import videos_of
from videos.services import video_mark_deleting
from videos.states import VideoState


@transaction.atomic
def job_create(*, owner: Owner, video_id: UUID, request: dict[str, Any], priority: int, policy: JobPolicy) -> Job:
    """Accept a request to transcode a video and plan it, now or when the video has been inspected.

    Raises Problem when the owner has no such video or it was rejected, InputRejected when it is beyond the limits.
    """
    video = _owned_video_lock(owner, video_id)
    if video.state == VideoState.REJECTED:
        raise Problem(status=422, code=video.error_code, detail=f"The video was rejected: {video.error_detail}")
    job = Job.objects.create(owner=owner, video=video, request=request, priority=priority)
    event_append(job_id=job.id, type="job.queued")
    if video.state == VideoState.READY:
        job_plan(job=job, video=video, policy=policy)
    else:
        inspect_request(video=video, priority=priority, rank=policy.rank)
    return job


@transaction.atomic
def job_cancel(*, owner: Owner, job_id: UUID) -> None:
    """End a job that nobody wants any more. Raises Problem: 404 not the owner's, 409 already over."""
    if not Job.objects.filter(id=job_id, owner=owner).exists():
        raise not_found("job")
    job = job_lock(job_id)
    if job.state not in job_sources(JobState.CANCELLED):
        raise Problem(status=409, code="job_over", detail=f"The job is already {job.state}.")
    job_stop(job=job)


@transaction.atomic
def video_delete(*, owner: Owner, video_id: UUID) -> None:
    """Cancel all work on a video, hide it, and have its objects removed. Raises Problem when there is no such video."""
    video = _owned_video_lock(owner, video_id)
    for job in open_jobs_lock(video):
        job_stop(job=job)
    steps_cancel(video=video, kind=StepKind.INSPECT)
    video_mark_deleting(video=video)
    purge_request(video=video, prefix=video_prefix(video.id))


def _owned_video_lock(owner: Owner, video_id: UUID) -> Video:
    """Lock a video the owner can see; whose it is never changes, its state may until the lock is held."""
    video = videos_of(owner).filter(id=video_id).select_for_update(no_key=True).first()
    if video is None:
        raise not_found("video")
    return video
