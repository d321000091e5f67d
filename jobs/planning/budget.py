"""Budget of an owner: the expected work of all jobs that are planned and have not ended, and of videos being joined.

A job counts in full until it ends. An owner without such a job may have any one that the installation allows.
"""

from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet, Sum

from jobs.models import Job, Step
from jobs.rules.transitions import STEP_ENDS
from videos.models import Video
from videos.parts import parts_of
from videos.states import VideoState

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


def budget_lock(owner_id: UUID) -> None:
    """Lock the budget of an owner until the transaction ends. It comes after the locks of videos and jobs.

    Of what is locked after it, steps of the planned job and purges of its files, nobody waits for a budget.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [f"work of {owner_id}"])


def open_work_seconds(owner_id: UUID, *, but: UUID | None = None) -> float:
    """Return the work of an owner's planned jobs and joins, in seconds of one slot. `but`: a job to leave out."""
    planned = Job.objects.filter(owner=owner_id, finished_at=None, generation__isnull=False)
    if but is not None:
        planned = planned.exclude(id=but)
    joins = sum(part.work_seconds for video in videos_joining(owner_id).only("parts") for part in parts_of(video))
    return float(planned.aggregate(work=Sum("work_seconds"))["work"] or 0) + joins


def videos_joining(owner_id: UUID) -> QuerySet[Video]:
    """Select an owner's videos that are being joined, or wait for that.

    Not those whose join has failed without their fault: they stay as they are until a job has them joined again.
    """
    steps = Step.objects.filter(video=OuterRef("id")).exclude(state__in=STEP_ENDS)  # such a video has no others
    return Video.objects.filter(Exists(steps), state=VideoState.JOINING, owner=owner_id)


def fits(work_seconds: float, *, open_seconds: float, max_seconds: float) -> bool:
    """Tell whether a job of this work may be planned beside the owner's open ones."""
    return not open_seconds or open_seconds + work_seconds <= max_seconds
