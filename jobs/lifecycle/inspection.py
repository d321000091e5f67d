"""Inspection requests: each video is inspected once, after its upload and before a job is planned."""

from collections.abc import Mapping
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
from videos.states import VideoState

_OPEN = (StepState.READY, StepState.DELAYED, StepState.RUNNING)
"""Inspections wait for no other step."""


def inspect_request(*, video: Video, priority: int, rank: RankConfig) -> None:
    """Request the inspection of a new or locked video, or raise the rank of the one that is open.

    A step that makes or checks its source comes first, where there is one; the inspection follows by itself.
    """
    lead = _lead(priority, rank)
    rank_at = Now() - timedelta(seconds=lead)
    if not _open_inspection(video.id, video.state).update(
        rank_at=Least(F("rank_at"), rank_at), lead_seconds=Greatest(F("lead_seconds"), lead)
    ):
        video_step_create(video=video, kind=_next_kind(video.state), lead_seconds=lead)


def inspect_after(*, video: Video, step_id: UUID) -> None:
    """Request the inspection of a locked video, with the rank of the step that made or checked its source."""
    lead = Step.objects.values_list("lead_seconds", flat=True).get(id=step_id)
    video_step_create(video=video, kind=_next_kind(video.state), lead_seconds=lead)


def inspect_hurry(*, video_id: UUID, since: datetime, priority: int, rank: RankConfig) -> None:
    """Raise the rank of an open inspection to that of a job with this priority, created at `since`; never lower it."""
    lead = _lead(priority, rank)
    rank_at = since - timedelta(seconds=lead)
    state = Video.objects.values_list("state", flat=True).get(id=video_id)
    _open_inspection(video_id, state).update(
        rank_at=Least(F("rank_at"), rank_at), lead_seconds=Greatest(F("lead_seconds"), lead)
    )


def inspect_cancel(*, video: Video) -> None:
    """Cancel the inspection of a locked video, or the step before it."""
    steps_cancel(id__in=_open_inspection(video.id, video.state).values("id"))


def _lead(priority: int, rank: RankConfig) -> int:
    return rank_lead_seconds(priority=priority, kind=StepKind.INSPECT, part=0, policy=rank)


_BEFORE_INSPECTION: Mapping[str, StepKind] = {
    VideoState.JOINING: StepKind.JOIN,
    VideoState.IMPORTING: StepKind.FETCH,
    VideoState.VERIFYING: StepKind.VERIFY,
}
"""The kind of step that makes or checks the source of a video in this state. Its inspection follows."""


def _next_kind(state: str) -> StepKind:
    """Return the kind of step that comes before the plans of jobs, of a video in this state."""
    return _BEFORE_INSPECTION.get(state, StepKind.INSPECT)


def _open_inspection(video_id: UUID, state: str) -> QuerySet[Step]:
    """Select the requested inspection that has not ended, by its own index: a video may have a million steps.

    That of a video without a source is the step that makes it. Such a video has no other steps.
    """
    return Step.objects.filter(video=video_id, kind=_next_kind(state), state__in=_OPEN)
