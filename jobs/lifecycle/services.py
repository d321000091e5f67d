"""Requests of clients and operators: create, cancel, pause, resume, retry, reprioritize and delete.

Locks go video, job, step (see jobs.changes.locks).
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from access.models import Owner
from api.problems import Problem, over_limit
from configuration import RankConfig
from events.types import EventType
from jobs.changes.cache_invalidation import video_jobs_changed
from jobs.changes.endings import (
    VIDEO_PURGE_LEAD_SECONDS,
    job_cancel_locked,
    job_pause_locked,
    open_jobs_end,
    purge_request,
)
from jobs.changes.events import event_append
from jobs.changes.locks import owned_job_and_video_lock, owned_job_lock, owned_video_lock
from jobs.changes.moves import job_move
from jobs.changes.wake import dispatcher_wake
from jobs.lifecycle.delivering import deliveries_cancel, delivery_create
from jobs.lifecycle.inspection import inspect_cancel, inspect_hurry, inspect_request
from jobs.lifecycle.outcomes import continued_metadata
from jobs.lifecycle.resuming import generation_reopen
from jobs.lifecycle.texts import texts_cancel
from jobs.lifecycle.thumbnails import thumbnails_cancel
from jobs.models import Job, Step
from jobs.planning.budget import budget_lock, fits, open_work_seconds
from jobs.planning.fallback import job_fall_back, job_on_gpu
from jobs.planning.images import with_image
from jobs.planning.plans import Waiting, job_plan
from jobs.planning.requests import job_request, refuse_impossible
from jobs.planning.routing import FallbackReason
from jobs.rules.policy import JobPolicy
from jobs.rules.retry import INCURABLE
from jobs.rules.steps import STAGES, Stage
from jobs.rules.transitions import JOB_ENDS, JOB_RETRIED, JobPhase, JobState, StepState
from observability import metrics
from storage.keys import video_prefix
from transcoding.encoders import CODEC_NAMES
from transcoding.errors import UnknownVersion
from transcoding.planning.request import JobRequest
from videos.models import Video
from videos.selectors import source_deleted
from videos.services import video_mark_deleting
from videos.states import VideoState
from videos.uploads.services import upload_end_with_video
from videos.usage.quotas import quota_check

metrics.JOBS_CREATED.expect(codec=CODEC_NAMES)
_RETRY_AFTER_SECONDS = 10


@transaction.atomic
def job_create(  # noqa: PLR0913 - one row's facts
    *,
    owner: Owner,
    video_id: UUID,
    request: dict[str, Any],
    priority: int,
    policy: JobPolicy,
    external_id: str = "",
    client_metadata: dict[str, Any] | None = None,
    destination: Mapping[str, str] | None = None,
) -> Job:
    """Create a job and plan it, now or when the video has been inspected.

    Raises Problem: 404 not the owner's video, 409 its source was deleted, 422 rejected or a GPU that this installation
    cannot have, 429 too many open jobs or too much open work; InputRejected when beyond the limits.
    """
    _refuse_more_jobs(owner, policy)
    video = owned_video_lock(owner, video_id)
    _refuse_rejected(video)
    _refuse_without_source(video)
    requested = job_request(request)
    refuse_impossible(request, requested, policy.gpu)
    with_image(requested, owner.id, new=True)
    job = Job.objects.create(
        owner=owner,
        video=video,
        request=request,
        priority=priority,
        external_id=external_id,
        client_metadata=client_metadata or {},
    )
    if destination:
        delivery_create(job=job, **destination)
    event_append(job_id=job.id, type=EventType.JOB_QUEUED)
    transaction.on_commit(lambda: metrics.JOBS_CREATED.add(codec=str(request.get("codec", ""))))
    if _plan_or_inspect(job, video, requested, policy) is Waiting.BUDGET:
        job.refresh_from_db(fields=["work_seconds"])
        raise _too_much_work(job, open_work_seconds(owner.id, but=job.id), policy)
    return job


def _plan_or_inspect(job: Job, video: Video, requested: JobRequest, policy: JobPolicy) -> Waiting | None:
    """Plan a job now, or request an inspection: the video has none yet, or one by another version of the program.

    Earlier versions did not list the tracks that a request may name.
    """
    if video.state == VideoState.READY:
        with suppress(UnknownVersion):
            return job_plan(job=job, video=video, requested=requested, policy=policy)
    inspect_request(video=video, priority=job.priority, rank=policy.rank)
    return None


def _too_much_work(job: Job, open_seconds: float, policy: JobPolicy) -> Problem:
    """Build the 429 of a job that its owner has no room for beside the open ones."""
    detail = (
        f"The job is expected to take {job.work_seconds:.0f} s of work. Your unfinished jobs have {open_seconds:.0f} s,"
        f" and {policy.max_owner_work_seconds} s are allowed. Try again when some of them have ended."
    )
    return Problem(status=429, code="work_budget_exceeded", detail=detail, retryable=True)


@transaction.atomic
def job_cancel(*, owner: Owner, job_id: UUID) -> None:
    """Cancel a job. Raises Problem: 404 not the owner's, 409 already over, or its video is live."""
    job = owned_job_lock(owner, job_id)
    _refuse_over(job)
    _refuse_live(job.video)
    job_cancel_locked(job=job)


@transaction.atomic
def job_retry(*, owner: Owner, job_id: UUID, policy: JobPolicy) -> None:
    """Queue a failed or cancelled job again. It resumes after its published segments, while these are stored.

    Raises Problem: 404 not the owner's, 409 not failed or cancelled, or its video or source deleted, 422 the source is
    at fault, 429 too many open jobs or too much open work; InputRejected where it has to be planned again and is
    beyond the limits.
    """
    job, video = owned_job_and_video_lock(owner, job_id)
    _refuse_retry(job, video)
    _refuse_more_jobs(owner, policy)
    _refuse_more_work(job, policy)
    _resume(job, video, policy, event=EventType.JOB_RETRIED)


@transaction.atomic
def job_pause(*, owner: Owner, job_id: UUID) -> None:
    """Pause a job. Its running steps are cancelled; published segments stay and can be played.

    Raises Problem: 404 not the owner's, 409 already over or paused, or its video is live.
    """
    job = owned_job_lock(owner, job_id)
    _refuse_over(job)
    _refuse_paused(job)
    _refuse_live(job.video)
    job_pause_locked(job=job)


@transaction.atomic
def job_resume(*, owner: Owner, job_id: UUID, policy: JobPolicy) -> None:
    """Queue a paused job again. It resumes after its published segments.

    Raises Problem: 404 not the owner's, 409 not paused; InputRejected where it has to be planned again and is beyond
    the limits.
    """
    job, video = owned_job_and_video_lock(owner, job_id)
    if job.state != JobState.PAUSED:
        raise Problem(status=409, code="job_not_paused", detail=f"The job is {job.state}, not paused.")
    _resume(job, video, policy, event=EventType.JOB_RESUMED)


def _resume(job: Job, video: Video, policy: JobPolicy, *, event: EventType) -> None:
    """Queue a locked job again, from the first segment that is not published."""
    resumed = generation_reopen(job=job)
    if resumed is None:
        _refuse_without_source(video)
    # A job that waits for a device must not name a generation that is discarded.
    job.generation = resumed.generation if resumed else None
    job_move(
        job=job,
        to=JobState.QUEUED,
        phase=JobPhase.PLANNED if resumed else JobPhase.INSPECTING,
        generation=job.generation,
        error_code="",
        error_detail="",
        error_details="",
        error_retryable=False,
        started_at=None,
        finished_at=None,
        playable_at=job.playable_at if resumed else None,
        open_steps=resumed.open_steps if resumed else 0,
        metadata=continued_metadata(
            job, resumed.segments_kept if resumed else 0, retried=event == EventType.JOB_RETRIED
        ),
    )
    number = job.generation.number if job.generation else None
    event_append(job_id=job.id, type=event, data={"continues_generation": number})
    if resumed:
        dispatcher_wake()
    else:
        _plan_or_inspect(job, video, job_request(job.request), policy)


@transaction.atomic
def job_reprioritize(*, owner: Owner, job_id: UUID, priority: int, rank: RankConfig) -> None:
    """Change the priority of an unfinished job. The time that its steps have waited still counts.

    Raises Problem: 404 not the owner's, 409 already over.
    """
    job = owned_job_lock(owner, job_id)
    _refuse_over(job)
    gained = (priority - job.priority) * rank.priority_seconds
    Job.objects.filter(id=job.id).update(priority=priority)
    Step.objects.filter(job=job).exclude(state=StepState.DONE).update(
        lead_seconds=F("lead_seconds") + gained, rank_at=F("rank_at") - timedelta(seconds=gained)
    )
    if job.phase == JobPhase.INSPECTING:
        inspect_hurry(video_id=job.video_id, since=job.created_at, priority=priority, rank=rank)
    if priority != job.priority:
        event_append(job_id=job.id, type=EventType.JOB_REPRIORITIZED, data={"from": job.priority, "to": priority})


@transaction.atomic
def job_force_cpu(*, owner: Owner, job_id: UUID, policy: JobPolicy) -> None:
    """Move an unfinished job from a GPU to the CPU, where it starts at its first chunk.

    Raises Problem: 404 not the owner's, 409 already over, paused, or not planned for a GPU; InputRejected where
    the CPU's plan is beyond the limits.
    """
    job, video = owned_job_and_video_lock(owner, job_id)
    _refuse_over(job)
    _refuse_paused(job)
    if not job_on_gpu(job):
        raise Problem(status=409, code="job_not_on_gpu", detail="The job is not planned for a GPU.")
    job_fall_back(job=job, video=video, reason=FallbackReason.ORDERED, policy=policy)


@transaction.atomic
def video_delete(*, owner: Owner, video_id: UUID) -> None:
    """Hide a video, cancel its jobs and purge its objects. Raises Problem: 404 not the owner's, 409 it is live.

    The purge is a step. Jobs beyond the first `ENDED_AT_ONCE` are cancelled by it, too.
    """
    video = owned_video_lock(owner, video_id)
    _refuse_live(video)
    video_drop(video=video)


def video_drop(*, video: Video, after_seconds: int = 0) -> None:
    """Hide a locked video, cancel its jobs and purge its objects, `after_seconds` from now at the earliest."""
    open_jobs_end(video=video, failure=None)
    inspect_cancel(video=video)
    thumbnails_cancel(video=video)
    texts_cancel(video=video)
    deliveries_cancel(video=video)
    video_jobs_changed(video)
    if video.state == VideoState.VERIFYING:
        upload_end_with_video(video=video)
    video_mark_deleting(video=video)
    prefix = video_prefix(video.id)
    purge_request(video=video, prefix=prefix, lead_seconds=VIDEO_PURGE_LEAD_SECONDS, after_seconds=after_seconds)


def _refuse_more_jobs(owner: Owner, policy: JobPolicy) -> None:
    """Raise Problem if an owner has as many open jobs as it may (429), or stores as much (403).

    Counted without a lock, which would make the owner's requests wait for each other: those of the same moment may be
    as many more.
    """
    quota_check(owner.id, source=False)
    if Job.objects.filter(owner=owner, finished_at=None).count() >= policy.max_owner_jobs:
        detail = f"{policy.max_owner_jobs} of your jobs are not over, which is the most at a time."
        raise over_limit("too_many_jobs", detail, retry_after_seconds=_RETRY_AFTER_SECONDS)


def _refuse_more_work(job: Job, policy: JobPolicy) -> None:
    """Raise Problem (429) if the owner of a job that is planned has no room for it. One that is not may be held."""
    if job.generation_id is None:
        return
    budget_lock(job.owner_id)
    open_seconds = open_work_seconds(job.owner_id, but=job.id)
    if not fits(job.work_seconds, open_seconds=open_seconds, max_seconds=policy.max_owner_work_seconds):
        raise _too_much_work(job, open_seconds, policy)


def _refuse_over(job: Job) -> None:
    if job.state in JOB_ENDS:
        raise Problem(status=409, code="job_over", detail=f"The job is already {job.state}.")


def _refuse_paused(job: Job) -> None:
    if job.state == JobState.PAUSED:
        raise Problem(status=409, code="job_paused", detail="The job is paused; resume it first.")


def _refuse_rejected(video: Video) -> None:
    if refusal := _rejection(video):
        raise refusal


def _rejection(video: Video) -> Problem | None:
    if video.state != VideoState.REJECTED:
        return None
    detail = f"The video was rejected: {video.error_detail}"
    return Problem(status=422, code=video.error_code, detail=detail, details=video.error_details)


def _refuse_without_source(video: Video) -> None:
    if video.source_deleted_at or video.state == VideoState.LIVE:
        raise source_deleted()


def _refuse_live(video: Video) -> None:
    """Raise Problem (409) for a video that is being broadcast: what it is lies with its live stream."""
    if video.state == VideoState.LIVE:
        detail = "The video is being broadcast. Stop its live stream first: `POST /api/v1/livestreams/{id}/stop`."
        raise Problem(status=409, code="video_live", detail=detail, retryable=True)


def _refuse_retry(job: Job, video: Video) -> None:
    if refusal := retry_refusal(job, video):
        raise refusal


def retry_refusal(job: Job, video: Video) -> Problem | None:
    """Return the problem that a retry of a job in this state would raise. None: it can be retried."""
    if job.state not in JOB_RETRIED:
        detail = f"The job is {job.state}, not failed or cancelled."
        return Problem(status=409, code="job_not_retryable", detail=detail)
    if video.state in (VideoState.DELETING, VideoState.DELETED):
        return Problem(status=409, code="video_deleted", detail="The job's video was deleted.")
    if rejection := _rejection(video):
        return rejection
    if video.source_deleted_at and _reads_source(job):
        return source_deleted()
    if job.generation_id and job.error_code in INCURABLE:
        detail = f"The source is at fault: {job.error_detail}"
        return Problem(status=422, code=job.error_code, detail=detail, details=job.error_details)
    return None


def _reads_source(job: Job) -> bool:
    """Tell whether a retry of a job would read the source: not if all of it is encoded, as of a recorded broadcast."""
    encoding = Step.objects.filter(generation=job.generation_id, kind__in=STAGES[Stage.ENCODE])
    return job.generation_id is None or encoding.exclude(state=StepState.DONE).exists()
