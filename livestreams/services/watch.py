"""The watch over broadcasts: ends what neither a hook nor a worker ends any more.

The dispatcher calls it once per tick. It is safe when two do at once.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from django.db import DatabaseError, InterfaceError, OperationalError, transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Q, QuerySet, Value
from django.db.models.functions import Now

from events.types import EventType
from jobs.changes.events import event_append
from jobs.changes.locks import job_lock, video_lock
from jobs.changes.moves import job_move
from jobs.lifecycle.services import video_drop
from jobs.models import Step
from jobs.rules.steps import LIVE_KINDS
from jobs.rules.transitions import JOB_ENDS, JobPhase, JobState, StepState
from livestreams.models import Broadcast
from livestreams.selectors import on_air
from livestreams.services.changes import livestream_lock
from livestreams.services.endings import (
    broadcast_end_locked,
    broadcast_fail_locked,
    broadcast_finish_locked,
    publisher_gone,
    recording_lose,
)
from livestreams.services.publishing import SILENT_SECONDS
from livestreams.states import BroadcastState

log = logging.getLogger(__name__)

_BATCH = 100
_UNATTENDED_SECONDS = 5.0
"""Time beyond `reconnect_seconds` that a worker has to end its broadcast by itself."""
_WATCHED_SECONDS = 120
"""Time beyond the window for which a stream that is not recorded stays in the store after its end."""


def broadcasts_watch() -> None:
    """Look after broadcasts, some of each kind at a time.

    1. A publisher that nobody has heard of for a while has left: the word about it was lost.
    2. A broadcast that should have ended, and that no worker holds, is ended with what is published of it.
    3. One whose job has ended is over.
    """
    _each(_silent(), lambda broadcast: publisher_gone(broadcast=broadcast))
    _each(_overdue(), lambda broadcast: broadcast_end_locked(broadcast=broadcast, claim=None))
    _each(on_air().filter(job__state__in=JOB_ENDS), _end_without_job)
    _each(_ending(), _finish)


def _silent() -> QuerySet[Broadcast]:
    silent = Now() - timedelta(seconds=SILENT_SECONDS)
    return on_air().filter(publisher_left_at=None, publisher_seen_at__lt=silent)


def _overdue() -> QuerySet[Broadcast]:
    """Select broadcasts that nobody holds, which were stopped, or whose publisher has not returned in time."""
    allowed = F("livestream__reconnect_seconds") * Value(timedelta(seconds=1)) + timedelta(seconds=_UNATTENDED_SECONDS)
    waits_until = ExpressionWrapper(F("publisher_left_at") + allowed, output_field=DateTimeField())
    stopped = Q(stop_requested_at__lt=Now() - timedelta(seconds=_UNATTENDED_SECONDS))
    idle = Step.objects.filter(kind__in=LIVE_KINDS, state__in=(StepState.READY, StepState.DELAYED))
    unheld = on_air().filter(job__steps__in=idle).annotate(waits_until=waits_until)
    return unheld.filter(stopped | Q(waits_until__lt=Now()))


def _ending() -> QuerySet[Broadcast]:
    """Select broadcasts that are ending, and whose job has ended or has nothing left to do."""
    done = Step.objects.filter(kind__in=LIVE_KINDS, state=StepState.DONE)
    over = Q(job__state__in=JOB_ENDS) | Q(job=None) | Q(record=False, job__steps__in=done)
    return Broadcast.objects.filter(over, state=BroadcastState.ENDING).distinct()


def _each(which: QuerySet[Broadcast], act: Callable[[Broadcast], object]) -> None:
    """Lock the live stream of each broadcast that is selected, and act if it still is."""
    for broadcast_id, livestream_id in which.values_list("id", "livestream")[:_BATCH]:
        try:
            _locked(broadcast_id, livestream_id, which, act)
        except (OperationalError, InterfaceError):
            raise
        except (DatabaseError, ValueError):  # one broken row must not keep the others from being looked after
            log.exception("broadcast not ended", extra={"event": "broadcast_failed", "broadcast": str(broadcast_id)})


@transaction.atomic
def _locked(
    broadcast_id: UUID, livestream_id: UUID, which: QuerySet[Broadcast], act: Callable[[Broadcast], object]
) -> None:
    livestream = livestream_lock(livestream_id)
    broadcast = which.filter(id=broadcast_id).first()
    if broadcast is not None:
        broadcast.livestream = livestream
        act(broadcast)


def _end_without_job(broadcast: Broadcast) -> None:
    """Fail a broadcast whose job was ended by something else, such as an operator."""
    video, job = video_lock(broadcast.video_id), job_lock(_job_id(broadcast))
    code, detail = job.error_code or "cancelled", job.error_detail or "The job of the broadcast was cancelled."
    broadcast_fail_locked(broadcast=broadcast, video=video, job=job, code=code, detail=detail)


def _finish(broadcast: Broadcast) -> None:
    """Record the end of a broadcast; what was not recorded goes when its last players have."""
    video = video_lock(broadcast.video_id)
    job = job_lock(broadcast.job_id) if broadcast.job_id else None
    if job and not broadcast.record:
        if job.state not in JOB_ENDS:
            job_move(job=job, to=JobState.COMPLETED, phase=JobPhase.ENDED, finished_at=Now())
            data = {"generation": job.generation.number if job.generation else None}
            event_append(job_id=job.id, type=EventType.JOB_COMPLETED, data=data)
        video_drop(video=video, after_seconds=broadcast.livestream.dvr_seconds + _WATCHED_SECONDS)
    elif job and job.state != JobState.COMPLETED:
        recording_lose(broadcast=broadcast, job=job)
        return
    broadcast_finish_locked(broadcast=broadcast)


def _job_id(broadcast: Broadcast) -> UUID:
    if broadcast.job_id is None:
        raise ValueError(f"broadcast {broadcast} has no job")
    return broadcast.job_id
