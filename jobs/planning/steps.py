"""The steps of a plan: writes the generation that a planned job makes, and the steps that make it."""

from collections.abc import Iterator
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


def plan_carry_out(job: Job, video: Video, plan: EncodePlan, route: Route, policy: JobPolicy) -> None:
    """Store the plan of a locked job of a locked video as its new generation and its steps."""
    generation = generation_create(video=video, job_id=job.id, plan=plan.to_json(), renditions=list(_renditions(plan)))
    metadata = _routed_metadata(job, route)
    # A job that waited for an inspection, or for a GPU, keeps its place among those that were planned at once.
    since = Now() if job.generation_id else job.created_at
    planned = _steps(job, generation, plan, requirement=route.requirement, policy=policy, since=since)
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
    if route.fallback_reason:
        transaction.on_commit(partial(metrics.FALLBACKS.add, reason=route.fallback_reason))
    event_append(job_id=job.id, type=EventType.JOB_PLANNED, data={"generation": generation.number, "steps": len(steps)})
    dispatcher_wake()


def _routed_metadata(job: Job, route: Route) -> dict[str, object]:
    """Return the job's metadata with the route's fallback reason, if it has one."""
    metadata = Job.objects.values_list("metadata", flat=True).get(id=job.id)  # a retry has just changed it
    metadata = {name: value for name, value in metadata.items() if name not in FALLBACK_FIELDS}
    if not route.fallback_reason:
        return metadata
    return {**metadata, "gpu_fallback": True, "fallback_reason": route.fallback_reason}


def _renditions(plan: EncodePlan) -> Iterator[RenditionPlan]:
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
    job: Job, generation: Generation, plan: EncodePlan, *, requirement: str, policy: JobPolicy, since: datetime | Now
) -> Iterator[Step]:
    """Yield the steps of a plan: one for each audio track, and of a chunk for each group of renditions, chunk by chunk.

    They rank by `since`, those of later stages, too: a nearly done job goes before those requested after it.
    """

    def step(
        kind: StepKind, units: int = 0, ordinal: int = 0, *, part: int = 0, sessions: int = 0, **payload: int | str
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
            encoder=requirement if sessions else "",
            sessions=sessions,
            state=StepState.READY if spec.stage is Stage.ENCODE else StepState.WAITING,
            lead_seconds=lead,
            rank_at=since - timedelta(seconds=lead),
            units_total=units,
            payload=payload,
        )

    for position, _ in enumerate(plan.audio):
        yield step(StepKind.AUDIO, plan.total_segments, position)
    for chunk in plan.chunks:
        span = {"first_segment": chunk.first_segment, "segments": chunk.segments}
        for position, group in enumerate(plan.groups):
            ordinal, sessions = chunk.ordinal * len(plan.groups) + position, len(group) if requirement else 0
            yield step(StepKind.CHUNK, chunk.segments, ordinal, part=chunk.ordinal, sessions=sessions, **span)
    files = [(AssetKind.MP4, name) for name in plan.mp4_names] + [(AssetKind.M4A, name) for name in plan.m4a_names]
    for position, (kind, name) in enumerate(files):
        yield step(StepKind.REMUX, ordinal=position, asset=kind.value, rendition=name)
    yield step(StepKind.FINISH)
