"""How jobs and videos end early, and what is left to clean up after them. Callers hold the row locks."""

from datetime import datetime
from uuid import UUID

from django.db.models import Max, QuerySet
from django.db.models.functions import Now

from events.log import video_event_append
from events.types import EventType
from jobs.changes.cache_invalidation import video_jobs_changed
from jobs.changes.events import event_append
from jobs.changes.moves import job_move
from jobs.changes.wake import dispatcher_wake
from jobs.models import Job, Step
from jobs.rules.retry import Failure, keeps_output
from jobs.rules.steps import STEPS, StepKind
from jobs.rules.transitions import JobPhase, JobState, StepState, job_sources, step_sources
from storage.keys import generation_prefix, video_prefix
from videos.models import Generation, Video
from videos.services import generation_abandon, video_reject
from videos.states import GenerationState


def job_fail(*, job: Job, failure: Failure) -> None:
    """End a locked job that cannot be done. What it made is removed, unless a retry could use it."""
    _job_end(job, JobState.FAILED, failure)
    if job.generation_id and not keeps_output(failure):
        number = Generation.objects.values_list("number", flat=True).get(id=job.generation_id)
        purge_request(video=job.video, prefix=generation_prefix(job.video_id, number))


def job_cancel_locked(*, job: Job) -> None:
    """End a locked job that nobody wants any more."""
    _job_end(job, JobState.CANCELLED, None)


def job_pause_locked(*, job: Job) -> None:
    """Let a locked job rest until somebody resumes it. Its running steps lose their fence; what is published stays."""
    job_move(job=job, to=JobState.PAUSED, phase=JobPhase.PAUSED, waiting_since=None)
    steps_cancel(job=job)
    event_append(job_id=job.id, type=EventType.JOB_PAUSED)


def _job_end(job: Job, state: JobState, failure: Failure | None) -> None:
    """Close a locked job. Its running steps lose their fence, but keep the time until which they may still write."""
    job_move(
        job=job,
        to=state,
        phase=JobPhase.ENDED,
        finished_at=Now(),
        waiting_since=None,
        error_code=failure.code if failure else "",
        error_detail=failure.detail if failure else "",
        error_retryable=bool(failure and failure.retryable),
    )
    steps_cancel(job=job)
    if job.generation_id:
        generation_abandon(generation_id=job.generation_id)
    generations_retire(job_id=job.id, but=job.generation_id)
    error = {"code": failure.code, "detail": failure.detail, "retryable": failure.retryable} if failure else None
    event_append(job_id=job.id, type=EventType(f"job.{state}"), data={"error": error} if error else {})


def steps_cancel(**which: object) -> None:
    """Cancel every step that has not ended, of a job or of one kind of a video."""
    Step.objects.filter(state__in=step_sources(StepState.CANCELLED), **which).update(
        state=StepState.CANCELLED, finished_at=Now(), not_before=None
    )


def open_jobs_lock(video: Video) -> list[Job]:
    """Lock the jobs of a locked video that have not ended."""
    unfinished = Job.objects.filter(video=video, state__in=job_sources(JobState.CANCELLED))
    return list(unfinished.select_for_update(no_key=True).order_by("id"))


def video_refuse(*, video: Video, failure: Failure) -> None:
    """The source of a locked video is at fault: fail its jobs and remove every object, the source included."""
    for job in open_jobs_lock(video):
        _job_end(job, JobState.FAILED, failure)
    video_jobs_changed(video)
    video_reject(video=video, code=failure.code, detail=failure.detail)
    error = {"code": failure.code, "detail": failure.detail}
    video_event_append(owner_id=video.owner_id, video_id=video.id, type=EventType.VIDEO_REJECTED, data={"error": error})
    purge_request(video=video, prefix=video_prefix(video.id))


def generations_retire(*, job_id: UUID, but: UUID | None) -> None:
    """Collect the generations that a locked job had before it fell back, once players need them no more."""
    for old in Generation.objects.filter(job_id=job_id, state=GenerationState.BUILDING):
        if old.id != but:
            generation_discard(generation=old)


def generation_discard(*, generation: Generation) -> None:
    """Take a generation from players and have what it made removed; its job is locked and never takes it up again."""
    generation_abandon(generation_id=generation.id)
    purge_request(video=generation.video, prefix=generation_prefix(generation.video_id, generation.number))


def purge_request(*, video: Video, prefix: str) -> None:
    """Have every object under a prefix removed, once no cancelled step can still be writing there.

    The caller holds the lock of the video, or of the only job that could take the prefix up again.
    """
    until = _leases_end(video)
    Step.objects.create(
        owner_id=video.owner_id,
        video=video,
        kind=StepKind.PURGE,
        queue=STEPS[StepKind.PURGE].queue,
        state=StepState.DELAYED if until else StepState.READY,
        not_before=until,
        rank_at=Now(),
        payload={"prefix": prefix},
    )
    dispatcher_wake()


def purge_withdraw(*, video: Video, prefix: str) -> bool:
    """Call off the removal of a prefix. False: it has begun, and nothing there may be pointed to any more.

    A claim that is made at this moment is waited for: then the purge has begun.
    """
    purges = _purges(video, prefix)
    not_begun = purges.filter(state__in=(StepState.READY, StepState.DELAYED), attempt=0)
    not_begun.update(state=StepState.CANCELLED, finished_at=Now(), not_before=None)
    return not purge_requested(video=video, prefix=prefix)


def purge_requested(*, video: Video, prefix: str) -> bool:
    """Tell whether a prefix is being removed, or was. One that was withdrawn does not count."""
    return _purges(video, prefix).exclude(state=StepState.CANCELLED).exists()


def _purges(video: Video, prefix: str) -> QuerySet[Step]:
    return Step.objects.filter(video=video, kind=StepKind.PURGE, payload__prefix=prefix)


def _leases_end(video: Video) -> datetime | None:
    """When the last worker of a cancelled step must have stopped, by the contract of its lease."""
    cancelled = Step.objects.filter(video=video, state=StepState.CANCELLED, lease_expires_at__gt=Now())
    until: datetime | None = cancelled.aggregate(until=Max("lease_expires_at"))["until"]
    return until
