"""The steps of a broadcast: the live one is there before anybody knows what it encodes; its plan adds the others."""

from collections.abc import Iterator
from datetime import timedelta

from django.db.models.functions import Now

from events.types import EventType
from jobs.changes.events import event_append
from jobs.changes.wake import dispatcher_wake
from jobs.models import Job, Step
from jobs.planning.steps import planned_files, planned_renditions
from jobs.rules.policy import JobPolicy
from jobs.rules.rank import HIGHEST_PRIORITY, rank_lead_seconds
from jobs.rules.steps import STEPS, StepKind
from jobs.rules.transitions import StepState
from transcoding.planning.plan import EncodePlan
from videos.models import Generation, Video
from videos.services import generation_create


def live_job_create(*, video: Video, request: dict[str, object], policy: JobPolicy) -> Job:
    """Create the job of a new broadcast, and its open step, which live workers may claim from the commit on."""
    job = Job.objects.create(owner_id=video.owner_id, video=video, request=request, priority=HIGHEST_PRIORITY)
    event_append(job_id=job.id, type=EventType.JOB_QUEUED)
    Step.objects.create(**_columns(job, StepKind.LIVE, policy), state=StepState.READY, units_total=None)
    Job.objects.filter(id=job.id).update(open_steps=1)
    dispatcher_wake()
    return job


def live_plan_carry_out(*, job: Job, video: Video, plan: EncodePlan, policy: JobPolicy, recorded: bool) -> Generation:
    """Store the plan of a locked live job of a locked video: its generation, and the steps behind the live one.

    `recorded`: a recording is made of it, which is verified at the end.
    """
    generation = generation_create(
        video=video, job_id=job.id, plan=plan.to_json(), renditions=list(planned_renditions(plan))
    )
    later = list(_later_steps(job, generation, plan, policy)) if recorded else []
    Step.objects.bulk_create(later)
    Step.objects.filter(job=job, kind=StepKind.LIVE).update(generation=generation)
    Job.objects.filter(id=job.id).update(generation=generation)
    job.generation = generation
    event_append(
        job_id=job.id,
        type=EventType.JOB_PLANNED,
        data={"generation": generation.number, "steps": 1 + len(later)},
    )
    return generation


def _later_steps(job: Job, generation: Generation, plan: EncodePlan, policy: JobPolicy) -> Iterator[Step]:
    """Yield what follows the end of the source, waiting for it."""
    for ordinal, (asset, rendition) in enumerate(planned_files(plan)):
        columns = _columns(job, StepKind.REMUX, policy)
        payload = {"asset": asset, "rendition": rendition}
        yield Step(**columns, generation=generation, ordinal=ordinal, state=StepState.WAITING, payload=payload)
    yield Step(**_columns(job, StepKind.FINISH, policy), generation=generation, state=StepState.WAITING)


def _columns(job: Job, kind: StepKind, policy: JobPolicy) -> dict[str, object]:
    lead = rank_lead_seconds(priority=job.priority, kind=kind, part=0, policy=policy.rank)
    return {
        "owner_id": job.owner_id,
        "video_id": job.video_id,
        "job": job,
        "kind": kind,
        "queue": STEPS[kind].queue,
        "lead_seconds": lead,
        "rank_at": Now() - timedelta(seconds=lead),
    }
