"""What of jobs is kept in the cache, and which of it a change concerns. Called inside the changing transaction."""

from collections.abc import Iterable
from uuid import UUID

from coordination.wiring import invalidate
from jobs.models import Job
from jobs.rules.transitions import JOB_ENDS
from videos.models import Video

CACHE_TTL_SECONDS = 300.0
UNFINISHED_CACHE_TTL_SECONDS = 5.0
"""Every publication forgets it anyway; this bounds what a worker could not say because Redis was away."""
LIST_CACHE_TTL_SECONDS = 2.0
"""Lists are forgotten when a job changes its state, not with its progress."""


def job_changed(job_id: UUID, owner_id: UUID) -> None:
    """A job's state changes, and with it what it made and the lists it is in."""
    invalidate(f"job:{job_id}", f"outputs:{job_id}", f"jobs:{owner_id}")


def progress_changed(job_id: UUID | None) -> None:
    """More of a job is published."""
    if job_id:
        invalidate(f"job:{job_id}")


def video_jobs_changed(video: Video) -> None:
    """What the jobs of a video made cannot be had any more."""
    jobs: Iterable[UUID] = Job.objects.filter(video=video).values_list("id", flat=True)
    if things := [f"outputs:{job}" for job in jobs]:
        invalidate(*things)


def job_cache_ttl_seconds(job: Job) -> float:
    """How long a job's document may be kept."""
    return CACHE_TTL_SECONDS if job.state in JOB_ENDS else UNFINISHED_CACHE_TTL_SECONDS
