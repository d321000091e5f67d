"""Row locks, always in one order: video, then job, then step. The fenced write itself locks the step.

`no_key`: others may still insert rows that refer to the locked one.
"""

from uuid import UUID

from access.models import Owner
from api.problems import not_found
from jobs.models import Job
from videos.models import Video
from videos.selectors import videos_of


def video_lock(video_id: UUID) -> Video:
    return Video.objects.select_for_update(no_key=True).get(id=video_id)


def job_lock(job_id: UUID) -> Job:
    return Job.objects.select_for_update(no_key=True).get(id=job_id)


def owned_job_lock(owner: Owner, job_id: UUID) -> Job:
    """Lock a job of the owner. Raises Problem: 404 not the owner's."""
    _owned_job(owner, job_id)
    return job_lock(job_id)


def owned_job_and_video_lock(owner: Owner, job_id: UUID) -> tuple[Job, Video]:
    """Lock a job of the owner, and its video before it. Raises Problem: 404 not the owner's."""
    video = video_lock(_owned_job(owner, job_id).video_id)
    return job_lock(job_id), video


def owned_video_lock(owner: Owner, video_id: UUID) -> Video:
    """Lock a video of the owner and return it. Its state may have changed until the lock was held.

    Raises Problem: 404 not the owner's, or deleted.
    """
    video = videos_of(owner).filter(id=video_id).select_for_update(no_key=True).first()
    if video is None:
        raise not_found("video")
    return video


def _owned_job(owner: Owner, job_id: UUID) -> Job:
    job = Job.objects.filter(id=job_id, owner=owner, deleted_at=None).first()
    if job is None:
        raise not_found("job")
    return job
