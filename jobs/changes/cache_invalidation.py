"""Cache invalidation for jobs: the entries that a change makes stale, and how long entries live.

Callers are inside the transaction that writes the change.
"""

from collections.abc import Iterable
from uuid import UUID

from coordination.wiring import invalidate
from jobs.models import Job
from jobs.rules.transitions import JOB_ENDS
from videos.models import Video

# Every change invalidates. These bound the age of documents while Redis is unavailable to the writer.
FINISHED_CACHE_TTL_SECONDS = 30.0
"""Of the document of a job that has ended; it changes only when the job is retried."""
UNFINISHED_CACHE_TTL_SECONDS = 5.0
"""Of the document of an open job."""
_MAX_INVALIDATED = 1000
LIST_CACHE_TTL_SECONDS = 2.0
"""Of a list of jobs. A change of state invalidates it, progress does not."""


def job_changed(job_id: UUID, owner_id: UUID) -> None:
    """Invalidate a job's document, its outputs and its owner's lists."""
    invalidate(f"job:{job_id}", f"outputs:{job_id}", f"jobs:{owner_id}")


def progress_changed(job_id: UUID | None) -> None:
    """Invalidate the document of a job that has published more. None (a step without a job) does nothing."""
    if job_id:
        invalidate(f"job:{job_id}")


def video_jobs_changed(video: Video) -> None:
    """Invalidate the outputs of a video's jobs: of the newest thousand. Others may be cached for half a minute."""
    newest = Job.objects.filter(video=video).order_by("-created_at", "-id")
    jobs: Iterable[UUID] = newest.values_list("id", flat=True)[:_MAX_INVALIDATED]
    if things := [f"outputs:{job}" for job in jobs]:
        invalidate(*things)


def job_cache_ttl_seconds(job: Job) -> float:
    """Return the cache TTL of a job's document and outputs, in seconds."""
    return FINISHED_CACHE_TTL_SECONDS if job.state in JOB_ENDS else UNFINISHED_CACHE_TTL_SECONDS
