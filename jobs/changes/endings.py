"""Early ends: fail, cancel and pause jobs, reject videos, and purge their objects. Callers hold the row locks."""

from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import Max, QuerySet
from django.db.models.functions import Greatest, Now

from events.log import video_event_append
from events.types import EventType
from jobs.changes.cache_invalidation import video_jobs_changed
from jobs.changes.events import event_append
from jobs.changes.moves import job_move
from jobs.changes.video_steps import video_step_create
from jobs.models import Job, Step
from jobs.rules.retry import Failure, keeps_output
from jobs.rules.steps import StepKind
from jobs.rules.transitions import STEP_ENDS, JobPhase, JobState, StepState, job_sources, step_sources
from observability import metrics
from storage.keys import generation_prefix, video_prefix
from videos.models import Generation, Video
from videos.services import generation_abandon, video_reject
from videos.states import HIDDEN_STATES, GenerationState, VideoState
from videos.uploads.services import upload_end_with_video

ENDED_AT_ONCE = 20
"""Jobs of a video that are ended in one transaction."""
VIDEO_PURGE_LEAD_SECONDS = 100 * 60
"""Lead of the purge of a whole video, that of the highest priority: until then steps of its open jobs go on."""


def job_fail(*, job: Job, failure: Failure) -> None:
    """Fail a locked job. Its objects are purged, unless a retry could use them."""
    _job_end(job, JobState.FAILED, failure)
    if job.generation_id and not keeps_output(failure):
        number = Generation.objects.values_list("number", flat=True).get(id=job.generation_id)
        purge_request(video=job.video, prefix=generation_prefix(job.video_id, number))


def job_cancel_locked(*, job: Job) -> None:
    """Cancel a locked job that has not ended. Its objects stay for a retry, until the janitor purges them."""
    _job_end(job, JobState.CANCELLED, None)


def job_pause_locked(*, job: Job) -> None:
    """Pause a locked job. Its running steps lose their fence; published segments stay and can be played."""
    job_move(job=job, to=JobState.PAUSED, phase=JobPhase.PAUSED, waiting_since=None)
    steps_cancel(job=job)
    event_append(job_id=job.id, type=EventType.JOB_PAUSED)


def _job_end(job: Job, state: JobState, failure: Failure | None) -> None:
    """Close a locked job. Its running steps lose their fence, but keep `lease_expires_at`, until which they write."""
    job_move(
        job=job,
        to=state,
        phase=JobPhase.ENDED,
        finished_at=Now(),
        waiting_since=None,
        error_code=failure.code if failure else "",
        error_detail=failure.detail if failure else "",
        error_details=failure.details if failure else "",
        error_retryable=bool(failure and failure.retryable),
    )
    steps_cancel(job=job)
    if job.generation_id:
        generation_abandon(generation_id=job.generation_id)
    generations_retire(job_id=job.id, but=job.generation_id)
    error = {**_error(failure), "retryable": failure.retryable} if failure else None
    event_append(job_id=job.id, type=EventType(f"job.{state}"), data={"error": error} if error else {})
    if failure:
        transaction.on_commit(partial(metrics.JOB_FAILURES.add, code=failure.code))


def _error(failure: Failure) -> dict[str, object]:
    """Return the error of an event. It has details only where a program failed."""
    details = {"details": failure.details} if failure.details else {}
    return {"code": failure.code, "detail": failure.detail, **details}


def steps_cancel(**which: object) -> None:
    """Cancel every step that has not ended. `which`: a filter, such as `job=job`."""
    Step.objects.filter(state__in=step_sources(StepState.CANCELLED), **which).update(
        state=StepState.CANCELLED, finished_at=Now(), not_before=None
    )


def open_jobs_lock(video: Video, *, limit: int | None = None) -> list[Job]:
    """Lock the jobs of a locked video that have not ended, ordered by id, and return them: all, or so many."""
    unfinished = Job.objects.filter(video=video, finished_at=None, state__in=job_sources(JobState.CANCELLED))
    return list(unfinished.select_for_update(no_key=True).order_by("id")[:limit])


def open_jobs_end(*, video: Video, failure: Failure | None, limit: int = ENDED_AT_ONCE) -> bool:
    """End open jobs of a locked video: cancelled, or failed if there is a failure. Return False once all have ended.

    A video may have a thousand; each takes milliseconds, and the video is locked meanwhile.
    """
    jobs = open_jobs_lock(video, limit=limit)
    for job in jobs:
        _job_end(job, JobState.FAILED if failure else JobState.CANCELLED, failure)
    return len(jobs) == limit


def gone_video_jobs_end(*, video: Video) -> bool:
    """End some open jobs of a locked video, if it was rejected or deleted. Return False once all have ended."""
    if video.state == VideoState.REJECTED:
        return open_jobs_end(video=video, failure=_rejection(video))
    return video.state in HIDDEN_STATES and open_jobs_end(video=video, failure=None)


def _rejection(video: Video) -> Failure:
    return Failure(code=video.error_code, detail=video.error_detail, details=video.error_details)


def video_refuse(*, video: Video, failure: Failure) -> None:
    """Reject a locked video whose source is at fault: fail its jobs and purge every object, the source included.

    Jobs beyond the first `ENDED_AT_ONCE` are failed by the purge.
    """
    open_jobs_end(video=video, failure=failure)
    video_jobs_changed(video)
    if video.state == VideoState.VERIFYING:
        upload_end_with_video(video=video, code=failure.code, detail=failure.detail)
    video_reject(video=video, code=failure.code, detail=failure.detail, details=failure.details)
    data = {"error": _error(failure)}
    video_event_append(owner_id=video.owner_id, video_id=video.id, type=EventType.VIDEO_REJECTED, data=data)
    purge_request(video=video, prefix=video_prefix(video.id), lead_seconds=VIDEO_PURGE_LEAD_SECONDS)


def generations_retire(*, job_id: UUID, but: UUID | None) -> None:
    """Discard the generations that a locked job had before it fell back to the CPU. `but`: the one to leave."""
    for old in Generation.objects.filter(job_id=job_id, state=GenerationState.BUILDING):
        if old.id != but:
            generation_discard(generation=old)


def generation_discard(*, generation: Generation) -> None:
    """Withdraw a generation from players and purge its objects. Its job is locked and never resumes it."""
    generation_abandon(generation_id=generation.id)
    purge_request(video=generation.video, prefix=generation_prefix(generation.video_id, generation.number))


def purge_request(*, video: Video, prefix: str, lead_seconds: int = 0, after_seconds: int = 0) -> None:
    """Create the `purge` step that removes every object under a prefix, `after_seconds` from now at the earliest.

    It is delayed until no cancelled step of the video can still write. The caller holds the lock of the video, or of
    the only job that could resume the generation under the prefix.
    """
    until = leases_end(video)
    later = bool(until or after_seconds)
    video_step_create(
        video=video,
        kind=StepKind.PURGE,
        lead_seconds=lead_seconds,
        state=StepState.DELAYED if later else StepState.READY,
        not_before=Greatest(until, Now() + timedelta(seconds=after_seconds)) if later else None,
        payload={"prefix": prefix},
    )


def purge_withdraw(*, video: Video, prefix: str) -> bool:
    """Cancel the purge of a prefix. False: it has started, and no row may name an object there any more.

    The update waits for a claim that is being made at this moment; then the purge has started.
    """
    purges = _purges(video, prefix)
    not_started = purges.filter(state__in=(StepState.READY, StepState.DELAYED), attempt=0)
    not_started.update(state=StepState.CANCELLED, finished_at=Now(), not_before=None)
    return not purge_requested(video=video, prefix=prefix)


def purge_requested(*, video: Video, prefix: str) -> bool:
    """Tell whether a purge of the prefix is planned, running or done. A withdrawn one does not count."""
    return _purges(video, prefix).exclude(state=StepState.CANCELLED).exists()


def purge_open(*, video: Video, prefix: str) -> bool:
    """Tell whether a purge of the prefix is planned or running."""
    return _purges(video, prefix).exclude(state__in=STEP_ENDS).exists()


def _purges(video: Video, prefix: str) -> QuerySet[Step]:
    return Step.objects.filter(video=video, kind=StepKind.PURGE, payload__prefix=prefix)


def leases_end(video: Video) -> datetime | None:
    """Return the time by which the workers of a video's cancelled steps must have stopped writing; None: they have."""
    cancelled = Step.objects.filter(video=video, state=StepState.CANCELLED, lease_expires_at__gt=Now())
    until: datetime | None = cancelled.aggregate(until=Max("lease_expires_at"))["until"]
    return until
