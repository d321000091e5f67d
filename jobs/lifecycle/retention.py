"""Retention: sources and outputs have a time at which they are deleted, which may be moved until then."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now

from access.models import Owner
from api.problems import Problem
from coordination.wiring import invalidate
from jobs.changes.locks import owned_job_and_video_lock, owned_video_lock
from jobs.lifecycle.deletion import job_outputs_delete, source_delete
from jobs.lifecycle.services import video_delete
from jobs.models import OutputDelivery
from jobs.rules.delivery import DeliveryState
from jobs.rules.transitions import JOB_ENDS
from videos.models import Generation, Video
from videos.parts import joins_of
from videos.states import GenerationState

log = logging.getLogger(__name__)

EXPIRED_AT_A_TIME = 500
"""Sources, and outputs of jobs, that one pass deletes."""

# Owners take turns, so that one with a million of them does not hold up the others.
_EXPIRED = """
SELECT {columns} FROM (
    SELECT {columns}, row_number() OVER (PARTITION BY owner_id ORDER BY expires_at) AS turn FROM ({expired}) AS expired
) AS turns ORDER BY turn LIMIT %s
"""
_SOURCES = _EXPIRED.format(
    columns="id, owner_id",
    expired="""
    SELECT id, owner_id, source_expires_at AS expires_at FROM videos_video AS video
    WHERE source_expires_at < now() AND source_deleted_at IS NULL AND state IN ('uploaded', 'ready')
      AND NOT EXISTS (SELECT FROM jobs_job AS job WHERE job.video_id = video.id AND job.finished_at IS NULL)
      AND NOT EXISTS (
          SELECT FROM videos_video AS joined
          WHERE joined.owner_id = video.owner_id AND joined.state = 'joining'
            AND joined.parts @> jsonb_build_array(jsonb_build_object('video_id', video.id::text))
      )
    """,
)
_OUTPUTS = _EXPIRED.format(
    columns="job_id, owner_id",
    expired="""
    SELECT generation.job_id, video.owner_id, generation.expires_at FROM videos_generation AS generation
    JOIN videos_video AS video ON video.id = generation.video_id
    JOIN jobs_job AS job ON job.id = generation.job_id
    WHERE generation.expires_at < now() AND generation.state = 'complete' AND video.state IN ('uploaded', 'ready')
      AND job.deleted_at IS NULL AND job.finished_at IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM jobs_outputdelivery AS delivery
          WHERE delivery.job_id = job.id AND delivery.state IN ('pending', 'delivering')
      )
    """,
)


@transaction.atomic
def video_keep_until(*, owner: Owner, video_id: UUID, times: Mapping[str, datetime | None]) -> None:
    """Move the time at which the source, or all complete outputs, of a video are deleted. None: they stay.

    `times`: `source_expires_at`, `expires_at` or both. Raises Problem (404).
    """
    video = owned_video_lock(owner, video_id)
    if "source_expires_at" in times:
        Video.objects.filter(id=video.id).update(source_expires_at=times["source_expires_at"])
    if "expires_at" in times:
        complete = Generation.objects.filter(video=video, state=GenerationState.COMPLETE)
        complete.update(expires_at=times["expires_at"])
    invalidate(f"video:{video.id}", f"videos:{video.owner_id}")


def sources_expire(*, limit: int = EXPIRED_AT_A_TIME) -> int:
    """Delete the sources whose time is over, but not those of videos with open jobs. Return their number."""
    return sum(_source_expire(video_id, owner_id) for video_id, owner_id in _expired(_SOURCES, limit))


def outputs_expire(*, limit: int = EXPIRED_AT_A_TIME) -> int:
    """Delete the outputs of jobs whose time is over. Return the number of jobs."""
    return sum(_outputs_expire(job_id, owner_id) for job_id, owner_id in _expired(_OUTPUTS, limit))


def _expired(query: str, limit: int) -> list[tuple[UUID, UUID]]:
    with connection.cursor() as cursor:
        cursor.execute(query, [limit])
        rows: list[tuple[UUID, UUID]] = cursor.fetchall()
    return rows


@transaction.atomic
def _source_expire(video_id: UUID, owner_id: UUID) -> bool:
    """Delete a source, or its video where nothing else is left of it, unless that has changed in the meantime."""
    owner = Owner(id=owner_id)
    locked = Video.objects.filter(id=video_id, source_expires_at__lt=Now(), source_deleted_at=None)
    if not locked.select_for_update(no_key=True).exists() or joins_of(owner_id, video_id).exists():
        return False
    try:
        with transaction.atomic():
            source_delete(owner=owner, video_id=video_id)
    except Problem as problem:
        if problem.code != "no_outputs":
            return False  # a job was created; or the video was deleted
        video_delete(owner=owner, video_id=video_id)
    _log("source", video_id=video_id)
    return True


@transaction.atomic
def _outputs_expire(job_id: UUID, owner_id: UUID) -> bool:
    """Delete the outputs of a job, and its video where nothing else is left of it, unless that has changed."""
    owner = Owner(id=owner_id)
    try:
        job, video = owned_job_and_video_lock(owner, job_id)
    except Problem:
        return False
    over = Generation.objects.filter(job_id=job_id, state=GenerationState.COMPLETE, expires_at__lt=Now())
    delivered = OutputDelivery.objects.filter(job=job, state__in=(DeliveryState.PENDING, DeliveryState.DELIVERING))
    if job.state not in JOB_ENDS or not over.exists() or delivered.exists():
        return False
    try:
        with transaction.atomic():
            job_outputs_delete(owner=owner, job_id=job_id)
    except Problem:
        return False  # something of them is in use
    others = Generation.objects.filter(video=video, state__in=(GenerationState.COMPLETE, GenerationState.BUILDING))
    if video.source_deleted_at and not others.exists():
        video_delete(owner=owner, video_id=video.id)
    _log("outputs", video_id=video.id, job_id=job_id)
    return True


def _log(what: str, **ids: Any) -> None:  # noqa: ANN401 - fields of a log line
    fields = {name: str(value) for name, value in ids.items()}
    transaction.on_commit(lambda: log.info(f"{what} expired", extra={"event": f"{what}_expired", **fields}))
