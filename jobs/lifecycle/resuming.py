"""Resumption of a failed, cancelled or paused job's generation. Callers hold the locks of the video and the job."""

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import DurationField, ExpressionWrapper, F, QuerySet, Sum, Value
from django.db.models.functions import Now

from jobs.changes.endings import generation_discard, purge_withdraw
from jobs.models import Job, Step
from jobs.rules.steps import LAST_STAGE, MEASURED_KINDS, STAGES
from jobs.rules.transitions import StepState, step_sources
from storage.keys import generation_prefix
from transcoding.errors import RateExceeded, VerificationFailed
from transcoding.planning.plan import EncodePlan
from videos.models import Generation
from videos.services import generation_resume
from videos.states import GenerationState

_LEAD = ExpressionWrapper(F("lead_seconds") * Value(timedelta(seconds=1)), output_field=DurationField())


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """A generation that grows again."""

    generation: Generation
    open_steps: int
    """Steps that must be done before the next stage."""
    segments_kept: int
    """Published segments of video, which are not encoded again; of audio, where there is no video."""


def generation_reopen(*, job: Job) -> Resumed | None:
    """Resume a job's generation from the first unpublished segment of every step. None: it cannot be resumed.

    It cannot when its objects were or are being removed, when it was complete and failed its verification, or when
    this version of the program cannot read its plan.
    """
    generation = job.generation
    if generation is None or generation.state == GenerationState.DELETED:
        return None
    prefix = generation_prefix(job.video_id, generation.number)
    if not _plan_is_read(generation) or _failed_verification(generation):
        generation_discard(generation=generation)
        return None
    if not purge_withdraw(video=job.video, prefix=prefix):
        return None
    generation_resume(generation=generation, playable=generation.playable_at is not None)
    return Resumed(
        generation=generation, open_steps=_steps_reopen(generation), segments_kept=_segments_published(generation)
    )


def _plan_is_read(generation: Generation) -> bool:
    try:
        EncodePlan.from_json(generation.plan)
    except ValueError:
        return False
    return True


def _failed_verification(generation: Generation) -> bool:
    """Return True if the generation failed its verification: the same segments would fail again."""
    failed = Step.objects.filter(generation=generation, kind__in=LAST_STAGE, state=StepState.FAILED)
    return failed.filter(error_code__in=(VerificationFailed.code, RateExceeded.code)).exists()


def _steps_reopen(generation: Generation) -> int:
    """Reset the steps that are not done, as if they had just been created. Return the number of open ones.

    `lease_expires_at` stays: until then a cancelled attempt may still write, and the purge of a deleted video waits.
    """
    steps = Step.objects.filter(generation=generation)
    again = steps.filter(state__in=step_sources(StepState.WAITING))
    fresh = {
        "failures": 0,
        "attempts_without_progress": 0,
        "error_code": "",
        "error_detail": "",
        "finished_at": None,
        "node": "",
        "worker_pid": None,
        "rank_at": Now() - _LEAD,
    }
    again.update(state=StepState.WAITING, **fresh)
    for kinds in STAGES:
        undone = steps.filter(kind__in=kinds).exclude(state=StepState.DONE)
        if count := undone.count():
            _wait_for_slots(undone)
            undone.filter(state=StepState.WAITING).update(state=StepState.READY)
            return count if kinds != LAST_STAGE else 0
    return 0


def _wait_for_slots(undone: QuerySet[Step]) -> None:
    """Delay the steps whose cancelled attempt still holds slots of a device; a claim would overwrite that lease."""
    held = undone.filter(state=StepState.WAITING, sessions__gt=0, lease_expires_at__gt=Now())
    held.update(state=StepState.DELAYED, not_before=F("lease_expires_at"))


def _segments_published(generation: Generation) -> int:
    """Count what is left out of a job's speed: segments of video, or of audio where there is no video."""
    steps = Step.objects.filter(generation=generation)
    measured = steps.filter(kind__in=MEASURED_KINDS)
    published: int = (measured if measured.exists() else steps).aggregate(published=Sum("units_done", default=0))[
        "published"
    ]
    return published
