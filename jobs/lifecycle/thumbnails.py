"""Requests for the images of a video, and their outcomes. They are made by a step of the video, in the background."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from access.models import Owner
from api.problems import Problem, invalid_field, over_limit
from events.log import video_event_append
from events.types import EventType
from jobs.changes.endings import purge_request, steps_cancel
from jobs.changes.locks import owned_video_lock, video_lock
from jobs.changes.video_steps import video_step_create
from jobs.leasing.claim import Claim
from jobs.leasing.leases import fenced
from jobs.leasing.steps import step_mark_done
from jobs.models import Step
from jobs.rules.steps import BACKGROUND_QUEUE, CPU_QUEUE, StepKind
from jobs.rules.transitions import STEP_ENDS, StepState
from storage.keys import thumbnails_prefix
from transcoding.planning.images import ImageSet
from transcoding.planning.plan import EncodePlan
from transcoding.planning.thumbnails import ThumbnailRequest
from transcoding.probing.facts import SourceFacts
from videos.models import Generation, Thumbnails, Video
from videos.states import ThumbnailState
from videos.thumbnails import (
    thumbnails_generation,
    thumbnails_mark_failed,
    thumbnails_mark_pending,
    thumbnails_mark_unavailable,
    thumbnails_publish,
)

PROMOTED_AFTER_SECONDS = 600
"""Wait after which a step of the background ranks like any other: a cluster may be busy for ever."""
REPLACED_SECONDS = 7200
"""Time for which images stay that were replaced. Manifests that name them are cached for an hour."""
MAX_PENDING = 50
"""Videos of one owner whose images are requested and not made."""
_RETRY_AFTER_SECONDS = 30
NO_VIDEO = "The file has no video track, so there is nothing to show."


def requested_thumbnails(stored: Mapping[str, Any]) -> ThumbnailRequest | None:
    """Return the images that the stored request of a job names. None: it names none."""
    value = stored.get("thumbnails", stored.get("generate_thumbnails", False))
    if isinstance(value, Mapping):
        return ThumbnailRequest(**value)
    return ThumbnailRequest() if value else None


def thumbnails_ensure(*, video: Video, request: ThumbnailRequest) -> None:
    """Request the images of a locked video, unless the same ones are there or on their way."""
    there = Thumbnails.objects.filter(video=video, state__in=(ThumbnailState.PENDING, ThumbnailState.READY)).first()
    if there is None or there.request != request.to_json():
        _request(video, request)


@transaction.atomic
def thumbnails_request(*, owner: Owner, video_id: UUID, request: ThumbnailRequest) -> None:
    """Request images of a video in place of those that it has.

    Raises Problem: 404 not the owner's video, 409 nothing was made of it yet or it has audio alone, 429 too many
    requests of the owner are open.
    """
    video = owned_video_lock(owner, video_id)
    generation = thumbnails_generation(video)
    if generation is None:
        detail = "Nothing was made of the video yet. Transcode it first: images are made of the outputs."
        raise Problem(status=409, code="no_outputs", detail=detail, retryable=True)
    if not SourceFacts.from_json(video.facts).has_video:
        raise Problem(status=409, code="no_video_track", detail=NO_VIDEO)
    _refuse_outside(generation, request)
    pending = Thumbnails.objects.filter(video__owner=owner, state=ThumbnailState.PENDING).exclude(video=video)
    if pending[:MAX_PENDING].count() == MAX_PENDING:
        detail = f"The images of {MAX_PENDING} of your videos are requested and not made, which is the most at a time."
        raise over_limit("too_many_thumbnails", detail, retry_after_seconds=_RETRY_AFTER_SECONDS)
    _request(video, request)


def _refuse_outside(generation: Generation, request: ThumbnailRequest) -> None:
    """Raise Problem (422) for moments behind the end, and for a width that no rendition has."""
    plan = EncodePlan.from_json(generation.plan)
    for number, moment in enumerate(request.times):
        if moment >= plan.grid.duration:
            raise invalid_field(f"times.{number}", f"must be below {float(plan.grid.duration):g}, the video's length")
    widest = max(rung.width for rung in plan.renditions)
    if request.width and request.width > widest:
        raise invalid_field("width", f"must be at most {widest}, the width of the largest rendition")


def _request(video: Video, request: ThumbnailRequest) -> None:
    thumbnails_cancel(video=video)
    if not SourceFacts.from_json(video.facts).has_video:
        thumbnails_mark_unavailable(video=video, request=request, code="no_video_track", detail=NO_VIDEO)
        return
    thumbnails_mark_pending(video=video, request=request)
    video_step_create(video=video, kind=StepKind.THUMBNAILS)


def thumbnails_cancel(*, video: Video) -> None:
    """Cancel the step that makes the images of a locked video, if there is one."""
    steps_cancel(id__in=_open(video.id).values("id"))


def _open(video_id: UUID) -> QuerySet[Step]:
    return Step.objects.filter(video=video_id, kind=StepKind.THUMBNAILS).exclude(state__in=STEP_ENDS)


@transaction.atomic
def thumbnails_complete(*, claim: Claim, images: ImageSet, result: Mapping[str, object]) -> None:
    """Close a step that made the images of a video, and publish them; they are in the store. Raises LeaseLost."""
    video = video_lock(claim.video_id)
    if not step_mark_done(claim=claim, result=result):
        return
    if replaced := thumbnails_publish(video=video, images=images):
        purge_request(video=video, prefix=thumbnails_prefix(video.id, replaced), after_seconds=REPLACED_SECONDS)
    data = {"images": len(images.images)}
    video_event_append(owner_id=video.owner_id, video_id=video.id, type=EventType.VIDEO_THUMBNAILS_READY, data=data)


def thumbnails_fail(*, video: Video, code: str, detail: str) -> None:
    """Record that the images of a locked video cannot be made."""
    thumbnails_mark_failed(video=video, code=code, detail=detail)
    data = {"error": {"code": code, "detail": detail}}
    video_event_append(owner_id=video.owner_id, video_id=video.id, type=EventType.VIDEO_THUMBNAILS_FAILED, data=data)


def background_promote() -> int:
    """Move steps to the queue `cpu` that have waited in the background for long. Return their number."""
    waited = Now() - timedelta(seconds=PROMOTED_AFTER_SECONDS)
    ready = Step.objects.filter(queue=BACKGROUND_QUEUE, state=StepState.READY, rank_at__lte=waited)
    return ready.update(queue=CPU_QUEUE)


def others_wait(*, claim: Claim) -> bool:
    """Tell whether a step that somebody waits for could run in place of this one of the background."""
    waiting = Step.objects.filter(queue=CPU_QUEUE, state=StepState.READY)
    return fenced(claim).filter(queue=BACKGROUND_QUEUE).exists() and waiting.exists()
