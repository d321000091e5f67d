"""The steps of a plan: writes the generation that a planned job makes, and the steps that make it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models.functions import Now

from events.types import EventType
from jobs.changes.events import event_append
from jobs.changes.wake import dispatcher_wake
from jobs.models import Job, Step
from jobs.planning.routing import FallbackReason, Route
from jobs.rules.policy import JobPolicy
from jobs.rules.rank import rank_lead_seconds
from jobs.rules.steps import GPU_QUEUE, STEPS, Stage, StepKind
from jobs.rules.transitions import JobPhase, StepState
from observability import metrics
from transcoding.planning.plan import EncodePlan
from videos.models import Generation, Video
from videos.services import RenditionPlan, generation_create
from videos.states import AssetKind, RenditionKind

FALLBACK_FIELDS = ("gpu_fallback", "fallback_reason")
"""Names in a job's metadata that say why it is not encoded on a GPU."""

metrics.FALLBACKS.expect(reason=FallbackReason)


def plan_carry_out(  # noqa: PLR0913 - all that the rows are made of
    job: Job,
    video: Video,
    plan: EncodePlan,
    routes: Sequence[Route],
    policy: JobPolicy,
    *,
    beside: Generation | None = None,
) -> None:
    """Store the plan of a locked job of a locked video as its new generation and its steps.

    `routes` are those of the plan's encodings. `beside`: the generation that it stands beside, rather than for itself.
    """
    generation = generation_create(
        video=video, job_id=job.id, plan=plan.to_json(), renditions=list(planned_renditions(plan)), beside=beside
    )
    reasons = [route.fallback_reason for route in routes if route.fallback_reason]
    metadata = _routed_metadata(job, reasons)
    # A job that waited for an inspection, or for a GPU, keeps its place among those that were planned at once.
    since = Now() if job.generation_id else job.created_at
    requirements = {route.encoder.codec: route.requirement for route in routes}
    planned = _steps(job, generation, plan, requirements=requirements, policy=policy, since=since)
    steps = Step.objects.bulk_create(planned)
    open_steps = sum(step.state == StepState.READY for step in steps)
    Job.objects.filter(id=job.id).update(
        generation=generation,
        phase=JobPhase.PLANNED,
        open_steps=open_steps,
        waiting_since=None,
        work_seconds=plan.work_seconds,
        metadata=metadata,
    )
    for reason in reasons:
        transaction.on_commit(partial(metrics.FALLBACKS.add, reason=reason))
    event_append(job_id=job.id, type=EventType.JOB_PLANNED, data={"generation": generation.number, "steps": len(steps)})
    dispatcher_wake()


def _routed_metadata(job: Job, reasons: Sequence[str]) -> dict[str, object]:
    """Return the job's metadata with the first reason why something is not encoded on a GPU, if there is one."""
    metadata = Job.objects.values_list("metadata", flat=True).get(id=job.id)  # a retry has just changed it
    metadata = {name: value for name, value in metadata.items() if name not in FALLBACK_FIELDS}
    if not reasons:
        return metadata
    return {**metadata, "gpu_fallback": True, "fallback_reason": reasons[0]}


def planned_renditions(plan: EncodePlan) -> Iterator[RenditionPlan]:
    """Yield the rows of a plan's renditions, in their order."""
    total_segments = None if plan.grid.is_open else plan.total_segments
    for video in plan.renditions:
        yield RenditionPlan(
            name=video.name,
            kind=RenditionKind.VIDEO,
            bitrate=video.bitrate,
            codecs=video.codecs,
            timescale=plan.grid.timescale,
            total_segments=total_segments,
            width=video.width,
            height=video.height,
            frame_rate=str(plan.grid.rate),
        )
    for track in plan.audio:
        yield RenditionPlan(
            name=track.name,
            kind=RenditionKind.AUDIO,
            bitrate=track.bitrate,
            codecs=track.codecs,
            timescale=track.encoder.sample_rate,
            total_segments=total_segments,
        )


def _steps(  # noqa: PLR0913 - all that the rows are made of
    job: Job,
    generation: Generation,
    plan: EncodePlan,
    *,
    requirements: Mapping[str, str],
    policy: JobPolicy,
    since: datetime | Now,
) -> Iterator[Step]:
    """Yield the steps of a plan: one for each audio track, and of a chunk for each group of renditions, chunk by chunk.

    They rank by `since`, those of later stages, too: a nearly done job goes before those requested after it. Of equal
    ones the lowest ordinal goes first, and so the codec that players begin with. `requirements`: the devices that may
    encode a codec; empty for the CPU.
    """

    def step(  # noqa: PLR0913 - what differs between steps
        kind: StepKind,
        units: int = 0,
        ordinal: int = 0,
        *,
        part: int = 0,
        requirement: str = "",
        sessions: int = 0,
        **payload: int | str,
    ) -> Step:
        spec = STEPS[kind]
        lead = rank_lead_seconds(priority=job.priority, kind=kind, part=part, policy=policy.rank)
        return Step(
            owner_id=job.owner_id,
            video_id=job.video_id,
            job=job,
            generation=generation,
            kind=kind,
            ordinal=ordinal,
            queue=GPU_QUEUE if sessions else spec.queue,
            encoder=requirement,
            sessions=sessions,
            state=StepState.READY if spec.stage is Stage.ENCODE else StepState.WAITING,
            lead_seconds=lead,
            rank_at=since - timedelta(seconds=lead),
            units_total=units,
            payload=payload,
        )

    for position, _ in enumerate(plan.audio):
        yield step(StepKind.AUDIO, plan.total_segments, position)
    for run in plan.chunk_runs():
        span = {"first_segment": run.chunk.first_segment, "segments": run.chunk.segments}
        requirement = requirements[plan.encoding_of(run.group).codec]
        yield step(
            StepKind.CHUNK,
            run.chunk.segments,
            run.ordinal,
            part=run.chunk.ordinal if run.of_first_codec else run.ordinal,  # nobody waits for another codec's first one
            requirement=requirement,
            sessions=len(run.group) if requirement else 0,
            **span,
        )
    for position, (asset, rendition) in enumerate(planned_files(plan)):
        yield step(StepKind.REMUX, ordinal=position, asset=asset, rendition=rendition)
    yield step(StepKind.FINISH)


def planned_files(plan: EncodePlan) -> list[tuple[str, str]]:
    """List the files that a plan promises, each by its kind and the rendition that it is of, in their order."""
    progressive = [(AssetKind.MP4.value, name) for name in plan.mp4_names]
    return progressive + [(AssetKind.M4A.value, name) for name in plan.m4a_names]
