"""Reads of jobs. The number of queries does not depend on the number of jobs or steps."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from access.models import Owner
from jobs.models import Job, OutputDelivery, Step
from jobs.rules.progress import UnitCount, encoded_fraction, encoding_speed, progress_percent, seconds_left
from jobs.rules.steps import STEPS, StepKind, Unit, kinds_where
from jobs.rules.transitions import JobState
from videos.models import Generation


def jobs_of(owner: Owner) -> QuerySet[Job]:
    """Select the jobs that an owner can see, unordered, with the rows that their progress is computed from."""
    return Job.objects.filter(owner=owner, deleted_at=None).select_related("video", "delivery")


def devices_used(generation: Generation) -> list[str]:
    """List the UUIDs of the GPUs that steps of a generation ran on so far."""
    steps = Step.objects.filter(generation=generation).exclude(device="")
    return list(steps.order_by("device").values_list("device", flat=True).distinct())


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job as clients see it. `speed` is in seconds of video per second."""

    id: UUID
    video_id: UUID
    state: str
    phase: str
    priority: int
    progress: int
    speed: float | None
    eta_seconds: int | None
    created_at: datetime
    started_at: datetime | None
    playable_at: datetime | None
    finished_at: datetime | None
    error: Mapping[str, object] | None
    request: Mapping[str, object]
    delivery: Mapping[str, object] | None
    external_id: str | None
    metadata: Mapping[str, object]


def job_views(jobs: Sequence[Job]) -> list[JobView]:
    """Return the views of jobs from `jobs_of`, in their order; one query for all, none where all are completed."""
    counts = _counts({job.generation_id for job in jobs if job.generation_id and job.state != JobState.COMPLETED})
    return [_view(job, counts.get(job.generation_id, _NOTHING)) for job in jobs]


@dataclass(frozen=True, slots=True)
class _Count:
    """The units of a generation, and when the database counted them."""

    units: dict[StepKind, UnitCount]
    counted_at: datetime | None


_NOTHING = _Count({}, None)
_WEIGHTED = kinds_where(lambda spec: spec.weight)

# Text, since the ORM takes ten times the processor time. A step that is open has no total yet.
_COUNTS = """
SELECT generation_id, kind, sum(units_done) FILTER (WHERE units_total IS NOT NULL), sum(units_total),
       count(*) FILTER (WHERE state = 'done'), count(*), statement_timestamp()
FROM jobs_step WHERE generation_id = ANY(%s) AND kind = ANY(%s) GROUP BY generation_id, kind
"""


def _counts(generations: Collection[UUID]) -> dict[UUID | None, _Count]:
    """Sum up the steps that belong to these generations."""
    if not generations:
        return {}
    counts: dict[UUID | None, _Count] = {}
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, [list(generations), list(_WEIGHTED)])
        for generation, kind, *sums, counted_at in cursor.fetchall():
            if (units := _units(StepKind(kind), *sums)).total:
                counts.setdefault(generation, _Count({}, counted_at)).units[StepKind(kind)] = units
    return counts


def _units(kind: StepKind, segments: int | None, of_segments: int | None, steps: int, of_steps: int) -> UnitCount:
    if STEPS[kind].unit is Unit.SEGMENT:
        return UnitCount(segments or 0, of_segments or 0)
    return UnitCount(steps, of_steps)


def _view(job: Job, count: _Count) -> JobView:
    return JobView(
        id=job.id,
        video_id=job.video_id,
        state=job.state,
        phase=job.phase,
        priority=job.priority,
        progress=progress_percent(JobState(job.state), count.units),
        created_at=job.created_at,
        started_at=job.started_at,
        playable_at=job.playable_at,
        finished_at=job.finished_at,
        error=_error(job),
        request=job.request,
        delivery=_delivery(getattr(job, "delivery", None)),
        external_id=job.external_id or None,
        metadata=job.client_metadata | job.metadata,
        **_pace(job, count),
    )


def _delivery(row: OutputDelivery | None) -> Mapping[str, object] | None:
    if row is None:
        return None
    error = {"code": row.error_code, "detail": row.error_detail} if row.error_code else None
    return {
        "bucket": row.bucket,
        "prefix": row.prefix,
        "state": row.state,
        "files": row.files,
        "files_done": row.files_done,
        "bytes_done": row.bytes_done,
        "error": error,
        "delivered_at": row.delivered_at,
    }


def _error(job: Job) -> Mapping[str, object] | None:
    if not job.error_code:
        return None
    details = job.error_details or None
    return {"code": job.error_code, "detail": job.error_detail, "details": details, "retryable": job.error_retryable}


def _pace(job: Job, count: _Count) -> dict[str, Any]:
    """Return speed and time left of a running job, and the speed of a completed one."""
    if job.state == JobState.COMPLETED:
        return {"speed": job.metadata.get("processing_speed"), "eta_seconds": None}
    facts = job.video.facts
    if job.state != JobState.PROCESSING or not (
        job.started_at and count.counted_at and facts and facts["total_frames"]
    ):
        return {"speed": None, "eta_seconds": None}
    elapsed = count.counted_at - job.started_at
    encoded = encoded_fraction(count.units, reused=job.metadata.get("segments_kept", 0))
    duration = Fraction((job.video.media or {}).get("duration") or facts["total_frames"] / Fraction(facts["rate"]))
    return {
        "speed": encoding_speed(encoded, duration, elapsed),
        "eta_seconds": seconds_left(count.units, encoded, elapsed),
    }
