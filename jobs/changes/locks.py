"""Row locks, always in one order: video, then job, then step. The fenced write itself locks the step.

`no_key`: others may still insert rows that refer to the locked one.
"""

from uuid import UUID

from jobs.models import Job
from videos.models import Video


def video_lock(video_id: UUID) -> Video:
    return Video.objects.select_for_update(no_key=True).get(id=video_id)


def job_lock(job_id: UUID) -> Job:
    return Job.objects.select_for_update(no_key=True).get(id=job_id)
