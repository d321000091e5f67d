"""Fenced writes of a worker: begin a step, publish its segments, close it if it is open, complete it.

Every write is idempotent for one attempt: call it again when the connection broke and the commit is in doubt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection, transaction
from django.db.models import OuterRef, Q
from django.db.models.functions import Coalesce, JSONObject, Now

from events.types import EventType
from jobs.changes.cache_invalidation import job_changed, progress_changed
from jobs.changes.endings import generations_retire
from jobs.changes.events import event_append
from jobs.changes.locks import job_lock, video_lock
from jobs.changes.moves import job_move
from jobs.changes.wake import dispatcher_wake
from jobs.leasing.claim import Claim
from jobs.leasing.leases import LeaseLost, fenced
from jobs.models import Job, Step
from jobs.rules.playable import MAX_SEGMENTS, Beginning, is_playable
from jobs.rules.steps import LAST_STAGE, STAGES, STEPS
from jobs.rules.transitions import JobPhase, JobState, StepState
from transcoding.planning.plan import EncodePlan
from videos.models import Generation, Rendition, Video
from videos.runs import RunFacts, run_publish, runs_published
from videos.selectors import contiguous, renditions_with_beginnings
from videos.services import generation_close, generation_mark_playable


@dataclass(frozen=True, slots=True, kw_only=True)
class StepWork:
    """The rows of a claimed step. Steps of a video have no job, generation or renditions."""

    claim: Claim
    video: Video
    job: Job | None
    generation: Generation | None
    renditions: tuple[Rendition, ...]


def step_begin(*, claim: Claim) -> StepWork:
    """Read the claimed step's rows in one query, and start its job. Raises LeaseLost."""
    related = ("video", "job", "generation")
    step = fenced(claim).select_related(*related).annotate(rendition_rows=_RENDITION_ROWS).first()
    if step is None:
        raise LeaseLost(claim)
    job = _job_shown(step.job, claim) if step.job else None
    renditions = tuple(_rendition(row) for row in step.rendition_rows)
    return StepWork(claim=claim, video=step.video, job=job, generation=step.generation, renditions=renditions)


_RENDITION_FIELDS = Rendition._meta.concrete_fields  # noqa: SLF001 - the documented way to a model's fields
_RENDITION_COLUMNS = [field.attname for field in _RENDITION_FIELDS]
_RENDITION_ROWS = ArraySubquery(
    Rendition.objects.filter(generation=OuterRef("generation"))
    .order_by("position")
    .values(row=JSONObject(**{name: name for name in _RENDITION_COLUMNS}))
)


def _rendition(row: Mapping[str, object]) -> Rendition:
    values = [field.to_python(row[field.attname]) for field in _RENDITION_FIELDS]
    return Rendition.from_db(None, _RENDITION_COLUMNS, values)


def _job_shown(job: Job, claim: Claim) -> Job:
    """Update the job's state and phase. Only the first step of a phase has anything to write."""
    phase = STEPS[claim.kind].phase
    if job.state == JobState.PROCESSING and job.phase == phase:
        return job
    with transaction.atomic():
        job = job_lock(job.id)
        if not fenced(claim).exists():
            raise LeaseLost(claim)
        _job_show_progress(job, phase)
    return job


def _job_show_progress(job: Job, phase: JobPhase) -> None:
    """Start a queued job, or set the phase of a running one. The job is locked."""
    if job.state == JobState.QUEUED:
        job_move(job=job, to=JobState.PROCESSING, phase=phase, started_at=Now())
        event_append(job_id=job.id, type=EventType.JOB_STARTED)
    elif job.phase != phase:
        Job.objects.filter(id=job.id).update(phase=phase)
        job_changed(job.id, job.owner_id)


@transaction.atomic
def step_publish(*, claim: Claim, runs: Sequence[RunFacts], units_done: int) -> None:
    """Publish runs: players get them. `units_done`: segments of the step published so far, these included.

    Raises InitMismatch, IntegrityError where a segment was published before, and LeaseLost: then none of these runs is
    published. Runs that an earlier call published stay, even if the lease was lost since.
    """
    if fenced(claim).filter(units_done__lt=units_done).update(units_done=units_done, attempts_without_progress=0):
        progress_changed(claim.job_id)
        run_publish(step_id=claim.step_id, attempt=claim.attempt, runs=runs)
    elif not runs_published(step_id=claim.step_id, attempt=claim.attempt, runs=runs):
        raise LeaseLost(claim)


@transaction.atomic
def job_mark_playable(*, claim: Claim) -> bool:
    """Mark the job as playable once `jobs.rules.playable` finds it so. True: no more calls are due.

    Call it after publishing one of the first segments. The job's lock keeps callers apart, so the one that publishes
    the last of them sees the others' rows.
    """
    if claim.job_id is None or claim.generation_id is None:
        raise ValueError(f"a {claim.kind} step makes nothing playable")
    video_lock(claim.video_id)
    job = job_lock(claim.job_id)
    generation = Generation.objects.get(id=claim.generation_id)
    over = job.state != JobState.PROCESSING or job.generation_id != generation.id
    if over or generation.playable_at is not None:
        return True
    if not is_playable(_beginnings(generation, EncodePlan.from_json(generation.plan))):
        return False
    generation_mark_playable(generation=generation)
    generations_retire(job_id=job.id, but=generation.id)
    Job.objects.filter(id=job.id).update(playable_at=Coalesce("playable_at", Now()))
    event_append(job_id=job.id, type=EventType.JOB_PLAYABLE, data={"generation": generation.number})
    return True


def first_chunk_has_node(*, claim: Claim, node: str, groups: int) -> bool:
    """Tell whether a node encodes the beginning of the video of a claim, and only that is missing to play it.

    `groups` is the number of steps of the first chunk that it takes to play it: those of the first codec.
    """
    steps = Step.objects.filter(job=claim.job_id, generation__playable_at=None)
    first = steps.filter(state=StepState.RUNNING, node=node, payload__first_segment=0, ordinal__lt=groups).first()
    if first is None:
        return False
    # Another audio track that has no slot yet is missing, too.
    return not steps.filter(state=StepState.READY, lead_seconds__gte=first.lead_seconds).exists()


def _beginnings(generation: Generation, plan: EncodePlan) -> list[Beginning]:
    """Measure what players begin with: the audio, and the video of the first codec."""
    renditions = [
        rendition
        for rendition in renditions_with_beginnings(generation, segments=MAX_SEGMENTS)
        if rendition.name not in plan.later_names
    ]
    first_runs = [run for rendition in renditions for run in rendition.runs.all() if run.first_segment == 0]
    claimed = {
        (step.id, step.attempt): step.claimed_at
        for step in Step.objects.filter(id__in={run.step_id for run in first_runs})
    }
    return [_beginning(rendition, claimed) for rendition in renditions]


def _beginning(rendition: Rendition, claimed: Mapping[tuple[UUID, int], datetime | None]) -> Beginning:
    """Measure a rendition, given when the latest attempts of its steps were claimed."""
    runs = list(contiguous(rendition.runs.all()))
    speed = None
    if runs and (started := claimed.get((runs[0].step_id, runs[0].attempt))):
        seconds = (runs[0].published_at - started).total_seconds()
        media_seconds = sum(runs[0].durations) / rendition.timescale
        speed = media_seconds / seconds if seconds > 0 else None
    return Beginning(segments=sum(run.segment_count for run in runs), total=rendition.total_segments, speed=speed)


@transaction.atomic
def step_close(*, claim: Claim, total_frames: int) -> None:
    """Close an open step and its generation: the source has ended after `total_frames` frames.

    A tail of up to a tenth of a segment counts to the segment before it, which players have already: leave it out.

    Raises LeaseLost, ValueError when the generation was closed with another number of frames, and
    IntegrityError when more segments are published than these frames make.
    """
    if claim.job_id is None or claim.generation_id is None:
        raise ValueError(f"a {claim.kind} step has no generation")
    job = job_lock(claim.job_id)
    generation = Generation.objects.get(id=claim.generation_id)
    total_segments = generation_close(generation=generation, total_frames=total_frames)
    still = Q(units_total=None) | Q(units_total=total_segments)
    if not fenced(claim).filter(still).update(units_total=total_segments):
        raise LeaseLost(claim)
    job_changed(job.id, job.owner_id)


@transaction.atomic
def step_complete(*, claim: Claim, result: Mapping[str, object]) -> None:
    """Mark a step as done whose units are all published; the last one starts the job's next stage. Raises LeaseLost."""
    if claim.job_id is None:
        raise ValueError(f"a {claim.kind} step is completed by a service of its own")
    job = job_lock(claim.job_id)
    if step_mark_done(claim=claim, result=result):
        job_advance(job=job)


def step_mark_done(*, claim: Claim, result: Mapping[str, object]) -> bool:
    """Mark the claimed step as done. False: this attempt has done so before. Raises LeaseLost."""
    closed = fenced(claim).update(
        state=StepState.DONE,
        finished_at=Now(),
        lease_expires_at=None,
        result=dict(result),
        error_code="",
        error_detail="",
    )
    if not closed and not Step.objects.filter(id=claim.step_id, attempt=claim.attempt, state=StepState.DONE).exists():
        raise LeaseLost(claim)
    return bool(closed)


def job_advance(*, job: Job) -> None:
    """Count a step of a locked job as done. The last open one of a stage makes the next stage's steps ready."""
    if _open_steps_left(job):
        return
    waiting = Step.objects.filter(generation=job.generation_id, state=StepState.WAITING)
    for kinds in STAGES:
        if opened := waiting.filter(kind__in=kinds).update(state=StepState.READY):
            if kinds != LAST_STAGE:  # no stage follows the last one: its outcome completes the job
                Job.objects.filter(id=job.id).update(open_steps=opened)
            break
    dispatcher_wake()


def _open_steps_left(job: Job) -> int:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET open_steps = open_steps - 1 WHERE id = %s RETURNING open_steps", [job.id])
        (left,) = cursor.fetchone()
    return int(left)
