"""Turning a video's facts and a job's request into a generation and its steps."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from events.types import EventType
from jobs.events import event_append
from jobs.formats import HLS, MP4, output_formats
from jobs.models import Job, Step
from jobs.policy import JobPolicy
from jobs.rank import rank_lead_seconds
from jobs.speeds import throughput_measured
from jobs.transitions import AFTER_ENCODING, JobPhase, StepKind, StepState
from jobs.wake import dispatcher_wake
from transcoding import records
from transcoding.encoders import cpu_encoder
from transcoding.media import SourceFacts
from transcoding.plan import EncodePlan, JobRequest, plan_job, preset_of
from videos.models import Generation, Video
from videos.services import RenditionPlan, generation_create
from videos.states import RenditionKind

AUDIO_TIMESCALE = 48_000
QUEUE = "cpu"
"""Where all steps are done as long as every encoder runs on the CPU."""


def job_plan(*, job: Job, video: Video, policy: JobPolicy) -> Generation:
    """Plan a locked job of a locked, inspected video. Raises what `plan_job` raises, and then nothing is written."""
    facts = records.from_json(SourceFacts, video.facts)
    plan = plan_for(facts=facts, request=job_request(job.request), policy=policy)
    generation = generation_create(video=video, job_id=job.id, plan=plan.to_json(), renditions=list(_renditions(plan)))
    steps = Step.objects.bulk_create(_steps(job, generation, plan, policy))
    open_steps = sum(step.kind not in AFTER_ENCODING for step in steps)
    Job.objects.filter(id=job.id).update(generation=generation, phase=JobPhase.PLANNED, open_steps=open_steps)
    event_append(job_id=job.id, type=EventType.JOB_PLANNED, data={"generation": generation.number, "steps": len(steps)})
    dispatcher_wake()
    return generation


def plan_for(*, facts: SourceFacts, request: JobRequest, policy: JobPolicy) -> EncodePlan:
    """Plan with chunks for the speed of the workers that will encode them. Raises what `plan_job` raises."""
    encoder, preset = cpu_encoder(request.video_codec), preset_of(request, policy.plan)
    measured = throughput_measured(queue=QUEUE, encoder=encoder.ffmpeg_name, preset=preset)
    return plan_job(facts, request, policy.plan, encoder=encoder, measured=measured)


def job_request(stored: dict[str, Any]) -> JobRequest:
    """What a stored request means to planning."""
    fields = {name: stored[name] for name in JobRequest.__dataclass_fields__ if name in stored}
    return JobRequest(**fields, mp4=MP4 in output_formats(stored.get("output_format", HLS)))


def _renditions(plan: EncodePlan) -> Iterator[RenditionPlan]:
    for video in plan.renditions:
        yield RenditionPlan(
            name=video.name,
            kind=RenditionKind.VIDEO,
            bitrate=video.bitrate,
            codecs=video.codecs,
            timescale=plan.grid.timescale,
            total_segments=plan.total_segments,
            width=video.width,
            height=video.height,
            frame_rate=str(plan.grid.rate),
        )
    if plan.audio:
        yield RenditionPlan(
            name=plan.audio.name,
            kind=RenditionKind.AUDIO,
            bitrate=plan.audio.bitrate,
            codecs=plan.audio.codecs,
            timescale=AUDIO_TIMESCALE,
            total_segments=plan.total_segments,
        )


def _steps(job: Job, generation: Generation, plan: EncodePlan, policy: JobPolicy) -> Iterator[Step]:
    """What follows encoding has its rank from the beginning: a nearly done job goes before those planned after it."""

    def step(kind: StepKind, units: int, ordinal: int = 0, **payload: int | str) -> Step:
        lead = rank_lead_seconds(priority=job.priority, kind=kind, ordinal=ordinal, policy=policy.rank)
        return Step(
            owner_id=job.owner_id,
            video_id=job.video_id,
            job=job,
            generation=generation,
            kind=kind,
            ordinal=ordinal,
            queue=QUEUE,
            state=StepState.WAITING if kind in AFTER_ENCODING else StepState.READY,
            lead_seconds=lead,
            rank_at=Now() - timedelta(seconds=lead),
            units_total=units,
            payload=payload,
        )

    if plan.audio:
        yield step(StepKind.AUDIO, plan.total_segments)
    for chunk in plan.chunks:
        span = {"first_segment": chunk.first_segment, "segments": chunk.segments}
        yield step(StepKind.CHUNK, chunk.segments, chunk.ordinal, **span)
    if plan.mp4:
        for place, rung in enumerate(plan.renditions):
            yield step(StepKind.REMUX, 0, place, rendition=rung.name)
    yield step(StepKind.FINISH, 0)
