"""Progress events of running jobs: at most one per job and tick, and progress never falls."""

from django.db import transaction
from django.db.models import F, Window
from django.db.models.functions import RowNumber

from events.types import EventType
from jobs.changes.events import event_append
from jobs.changes.locks import job_lock
from jobs.models import Job
from jobs.reports.selectors import JobView, job_views
from jobs.rules.transitions import JobState

_BATCH = 500
_OF_ONE_OWNER = 50


def progress_events_append() -> int:
    """Append a progress event for every running job that has advanced since its last one. Return how many did.

    Looks at `_BATCH` jobs, and no more than `_OF_ONE_OWNER` of each owner: those that were started first.
    """
    number = Window(RowNumber(), partition_by=F("owner"), order_by=F("started_at").asc())
    running = (
        Job.objects.filter(state=JobState.PROCESSING)
        .annotate(number=number)
        .filter(number__lte=_OF_ONE_OWNER)
        .select_related("video", "delivery")
        .order_by("number", "started_at")[:_BATCH]
    )
    reported = {job.id: job.last_reported_progress for job in running}
    further = [view for view in job_views(list(running)) if view.progress > reported[view.id]]
    for view in further:
        _append(view)
    return len(further)


@transaction.atomic
def _append(view: JobView) -> None:
    job = job_lock(view.id)
    if job.state != JobState.PROCESSING or job.last_reported_progress >= view.progress:
        return
    Job.objects.filter(id=job.id).update(last_reported_progress=view.progress)
    data = {"progress": view.progress, "speed": view.speed, "eta_seconds": view.eta_seconds}
    event_append(job_id=job.id, type=EventType.JOB_PROGRESS, data=data)
