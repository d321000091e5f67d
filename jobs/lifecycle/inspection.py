"""Inspection requests: each video is inspected once, after its upload and before a job is planned."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F, QuerySet
from django.db.models.functions import Greatest, Least, Now

from configuration import RankConfig
from jobs.changes.endings import steps_cancel
from jobs.changes.video_steps import video_step_create
from jobs.models import Step
from jobs.rules.rank import rank_lead_seconds
from jobs.rules.steps import StepKind
from jobs.rules.transitions import StepState
from videos.models import Video

_OPEN = (StepState.READY, StepState.DELAYED, StepState.RUNNING)
"""Inspections wait for no other step."""


def inspect_request(*, video: Video, priority: int, rank: RankConfig) -> None:
    """Request the inspection of a new or locked video, or raise the rank of the one that is open."""
    lead = _lead(priority, rank)
    rank_at = Now() - timedelta(seconds=lead)
    if not _open_inspection(video.id).update(
        rank_at=Least(F("rank_at"), rank_at), lead_seconds=Greatest(F("lead_seconds"), lead)
    ):
        video_step_create(video=video, kind=StepKind.INSPECT, lead_seconds=lead)


def inspect_hurry(*, video_id: UUID, since: datetime, priority: int, rank: RankConfig) -> None:
    """Raise the rank of an open inspection to that of a job with this priority, created at `since`; never lower it."""
    lead = _lead(priority, rank)
    rank_at = since - timedelta(seconds=lead)
    _open_inspection(video_id).update(
        rank_at=Least(F("rank_at"), rank_at), lead_seconds=Greatest(F("lead_seconds"), lead)
    )


def inspect_cancel(*, video: Video) -> None:
    """Cancel the inspection of a locked video."""
    steps_cancel(id__in=_open_inspection(video.id).values("id"))


def _lead(priority: int, rank: RankConfig) -> int:
    return rank_lead_seconds(priority=priority, kind=StepKind.INSPECT, part=0, policy=rank)


def _open_inspection(video_id: UUID) -> QuerySet[Step]:
    """Select the requested inspection that has not ended, by its own index: a video may have a million steps."""
    return Step.objects.filter(video=video_id, kind=StepKind.INSPECT, state__in=_OPEN)
