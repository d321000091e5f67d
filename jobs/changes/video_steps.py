"""Creation of steps that belong to a video, and to no job."""

from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from jobs.changes.wake import dispatcher_wake
from jobs.models import Step
from jobs.rules.steps import STEPS, StepKind
from videos.models import Video


def video_step_create(*, video: Video, kind: StepKind, lead_seconds: int = 0, **more: Any) -> None:  # noqa: ANN401 - columns
    """Create a step of a locked or new video, ranked as if it had waited for `lead_seconds`. `more`: other columns."""
    Step.objects.create(
        owner_id=video.owner_id,
        video=video,
        kind=kind,
        queue=STEPS[kind].queue,
        lead_seconds=lead_seconds,
        rank_at=Now() - timedelta(seconds=lead_seconds),
        **more,
    )
    dispatcher_wake()
