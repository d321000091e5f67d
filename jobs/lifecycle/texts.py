"""Requests to extract the texts in the file of a video."""

from uuid import UUID

from django.db import transaction

from access.models import Owner
from api.problems import Problem
from jobs.changes.endings import steps_cancel
from jobs.changes.locks import owned_video_lock
from jobs.changes.video_steps import video_step_create
from jobs.models import Step
from jobs.rules.steps import StepKind
from jobs.rules.transitions import StepState
from transcoding.probing.facts import SourceFacts
from transcoding.probing.texts import embedded_texts
from videos.models import Video
from videos.selectors import source_deleted
from videos.texts.selectors import failed_texts
from videos.texts.services import text_of, texts_announce, texts_give_up, texts_mark_pending


def texts_request(*, video: Video, facts: SourceFacts, max_texts: int) -> None:
    """Request the texts of a locked video that was just inspected, if its file has any.

    The step has the rank of a job of the lowest priority.
    """
    if texts_announce(video=video, streams=embedded_texts(facts), max_texts=max_texts):
        video_step_create(video=video, kind=StepKind.TEXT)


@transaction.atomic
def texts_retry(*, owner: Owner, video_id: UUID, text_id: UUID | None = None) -> None:
    """Request texts that failed once more: one of them, or all of a video.

    Raises Problem: 404 not the owner's, 409 it did not fail, is no embedded one, or the source was deleted.
    """
    video = owned_video_lock(owner, video_id)
    if text_id:
        text_of(video, text_id)
    failed = failed_texts(video).filter(**({"id": text_id} if text_id else {}))
    if not failed.exists():
        detail = "Only texts in the file of the video that failed can be extracted again."
        raise Problem(status=409, code="text_not_failed", detail=detail)
    if video.source_deleted_at:
        raise source_deleted()
    texts_mark_pending(video=video, texts=failed)
    # A step that runs has read already which texts are pending; one that does not run yet will.
    if not _awaits_extraction(video):
        video_step_create(video=video, kind=StepKind.TEXT)


def texts_lose(*, video: Video, code: str, reason: str) -> None:
    """Give up the texts of a locked video whose extraction failed for good, unless another one has still to begin."""
    if not _awaits_extraction(video):
        texts_give_up(video=video, code=code, reason=reason)


def _awaits_extraction(video: Video) -> bool:
    return Step.objects.filter(video=video, kind=StepKind.TEXT, state__in=_NOT_STARTED).exists()


_NOT_STARTED = (StepState.READY, StepState.DELAYED)


def texts_cancel(*, video: Video) -> None:
    """Cancel the extraction of the texts of a locked video."""
    steps_cancel(video=video, kind=StepKind.TEXT)
