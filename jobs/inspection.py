"""Looking at a video once, after upload and before anything is planned for it."""

from datetime import timedelta

from django.db.models import F
from django.db.models.functions import Least, Now

from configuration import RankConfig
from jobs.models import Step
from jobs.rank import rank_lead_seconds
from jobs.transitions import StepKind, StepState, step_sources
from jobs.wake import dispatcher_wake
from videos.models import Video


def inspect_request(*, video: Video, priority: int, rank: RankConfig) -> None:
    """Have a new or locked video looked at, once and as soon as the most urgent of all who ask."""
    lead = rank_lead_seconds(priority=priority, kind=StepKind.INSPECT, ordinal=0, policy=rank)
    rank_at = Now() - timedelta(seconds=lead)
    asked = Step.objects.filter(video=video, kind=StepKind.INSPECT, state__in=step_sources(StepState.CANCELLED))
    if not asked.update(rank_at=Least(F("rank_at"), rank_at)):
        Step.objects.create(owner_id=video.owner_id, video=video, kind=StepKind.INSPECT, rank_at=rank_at)
        dispatcher_wake()
