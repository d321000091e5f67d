"""Deletion of a job, of its outputs, of one rendition, of a source alone. The objects are removed by purge steps.

Locks go video, job, step (see jobs.changes.locks). A job must have ended, so that nothing of it is still written.
"""

from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from access.models import Owner
from api.problems import Problem, not_found
from events.log import video_event_append
from events.types import EventType
from jobs.changes.endings import open_jobs_lock, purge_request, purge_requested
from jobs.changes.events import event_append
from jobs.changes.locks import owned_job_and_video_lock, owned_video_lock
from jobs.lifecycle.delivering import delivery_cancel
from jobs.lifecycle.inspection import inspect_cancel
from jobs.lifecycle.texts import texts_cancel
from jobs.models import Job
from jobs.rules.transitions import JOB_ENDS
from storage.keys import bitmaps_prefix, generation_prefix, indexed_key, joined_prefix, rendition_prefix
from videos.models import Generation, Rendition, Video
from videos.selectors import source_deleted
from videos.services import generation_delete, rendition_delete, video_mark_source_deleted
from videos.states import GenerationState, RenditionKind
from videos.texts.services import texts_give_up


@transaction.atomic
def job_delete(*, owner: Owner, job_id: UUID) -> None:
    """Delete a job that has ended, with everything that it made. Raises Problem: 404 not the owner's, 409 not over."""
    job, video = _ended_job(owner, job_id)
    _outputs_drop(job, video)
    event_append(job_id=job.id, type=EventType.JOB_DELETED)
    Job.objects.filter(id=job.id).update(deleted_at=Now())


@transaction.atomic
def job_outputs_delete(*, owner: Owner, job_id: UUID) -> None:
    """Delete what a job that has ended made, and leave the job as a record. May be repeated.

    Raises Problem: 404 not the owner's, 409 not over.
    """
    job, video = _ended_job(owner, job_id)
    if numbers := _outputs_drop(job, video):
        event_append(job_id=job.id, type=EventType.JOB_OUTPUTS_DELETED, data={"generations": numbers})


@transaction.atomic
def job_rendition_delete(*, owner: Owner, job_id: UUID, name: str) -> None:
    """Delete one video rendition of a completed job.

    Raises Problem: 404 not the owner's or no such rendition, 409 not over, the last one, or audio, which plays with
    every other.
    """
    job, video = _ended_job(owner, job_id)
    renditions = Rendition.objects.filter(generation=job.generation_id, generation__state=GenerationState.COMPLETE)
    rendition = renditions.filter(name=name).select_related("generation").first()
    if rendition is None:
        raise not_found("rendition")
    if renditions.count() == 1:
        detail = "It is the last rendition. Delete all outputs of the job instead."
        raise Problem(status=409, code="last_rendition", detail=detail)
    if rendition.kind != RenditionKind.VIDEO:
        detail = "This audio plays with every video rendition. Delete all outputs of the job instead."
        raise Problem(status=409, code="audio_rendition", detail=detail)
    if renditions.filter(kind=RenditionKind.VIDEO).count() == 1:
        detail = "It is the last video rendition. Delete all outputs of the job instead."
        raise Problem(status=409, code="last_rendition", detail=detail)
    rendition_delete(rendition=rendition)
    number = rendition.generation.number
    purge_request(video=video, prefix=rendition_prefix(video.id, number, name))
    event_append(job_id=job.id, type=EventType.JOB_OUTPUTS_DELETED, data={"generations": [number], "rendition": name})


@transaction.atomic
def source_delete(*, owner: Owner, video_id: UUID) -> None:
    """Delete the source of a video and leave what was made of it. The video cannot be transcoded any more.

    Raises Problem: 404 not the owner's or deleted already, 409 a job of it is not over, or nothing was made of it.
    """
    video = owned_video_lock(owner, video_id)
    if video.source_deleted_at:
        raise source_deleted(status=404)
    if open_jobs_lock(video):
        detail = "A job of the video is not over. Wait for its end, or cancel it."
        raise Problem(status=409, code="video_in_use", detail=detail, retryable=True)
    if not Generation.objects.filter(video=video, state=GenerationState.COMPLETE).exists():
        detail = "Nothing was made of the source yet. Delete the video instead."
        raise Problem(status=409, code="no_outputs", detail=detail)
    inspect_cancel(video=video)
    texts_cancel(video=video)
    texts_give_up(video=video, code="source_deleted", reason="the source was deleted before")
    video_mark_source_deleted(video=video)
    # A lost attempt to join may have stored another source, beside the one that is recorded.
    source = joined_prefix(video.id) if video.parts else video.source_key
    for prefix in (source, indexed_key(video.id), bitmaps_prefix(video.id)):
        purge_request(video=video, prefix=prefix)
    video_event_append(owner_id=video.owner_id, video_id=video.id, type=EventType.VIDEO_SOURCE_DELETED)


def _ended_job(owner: Owner, job_id: UUID) -> tuple[Job, Video]:
    job, video = owned_job_and_video_lock(owner, job_id)
    if job.state not in JOB_ENDS:
        raise Problem(status=409, code="job_not_over", detail=f"The job is {job.state}: cancel it first.")
    return job, video


def _outputs_drop(job: Job, video: Video) -> list[int]:
    """Delete the generations of a job and return their numbers."""
    generations = Generation.objects.filter(job_id=job.id).exclude(state=GenerationState.DELETED)
    numbers = []
    delivery_cancel(job=job)
    for generation in generations.order_by("number"):
        generation_delete(generation=generation)
        prefix = generation_prefix(video.id, generation.number)
        if not purge_requested(video=video, prefix=prefix):  # the janitor's, of one that was abandoned long ago
            purge_request(video=video, prefix=prefix)
        numbers.append(generation.number)
    return numbers
