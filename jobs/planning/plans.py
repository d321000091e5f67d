"""Planning of a job: turns the video's facts and the job's request into a plan, or lets the job wait for a GPU."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from django.db.models.functions import Now

from events.types import EventType
from jobs.changes.events import event_append
from jobs.models import Job
from jobs.planning.budget import budget_lock, fits, open_work_seconds
from jobs.planning.companions import base_of, plan_beside
from jobs.planning.images import with_image
from jobs.planning.requests import gpu_preference
from jobs.planning.routing import GpuUnavailable, Route, cpu_routes, route_for
from jobs.planning.speeds import throughput_measured
from jobs.planning.steps import plan_carry_out
from jobs.planning.texts import with_text
from jobs.rules.policy import JobPolicy
from jobs.rules.steps import CPU_QUEUE, GPU_QUEUE
from jobs.rules.transitions import JobPhase
from transcoding.encoders import VideoEncoder
from transcoding.planning.encodings import EncoderChoice
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job, preset_of
from transcoding.planning.request import JobRequest
from transcoding.probing.facts import SourceFacts
from videos.models import Video


class Waiting(StrEnum):
    """Things that an unplanned job waits for."""

    GPU = "gpu"
    BUDGET = "budget"
    """Other jobs of its owner have to end first."""


def job_plan(
    *, job: Job, video: Video, requested: JobRequest, policy: JobPolicy, routes: Sequence[Route] = ()
) -> Waiting | None:
    """Plan a locked job of a locked, inspected video. `routes`: an encoder for each codec; without, they are chosen.

    Returns None, or what the job waits for: a GPU that it requires, or room in its owner's budget. Raises the errors of
    `plan_job`, and UnknownVersion where another version of the program inspected the video; then nothing is written.
    """
    facts = SourceFacts.from_json(video.facts)
    requested = with_text(with_image(requested, job.owner_id), video)
    try:
        routes = routes or routes_of_source(facts, job.request, requested, policy)
    except GpuUnavailable:
        _wait(job)
        return Waiting.GPU
    choices = encoder_choices(request=requested, policy=policy, routes=routes)
    plan = plan_job(facts, requested, policy.plan, encoders=choices)
    base = base_of(video, job_id=job.id) if requested.beside else None
    plan = plan_beside(plan, base) if base else plan
    if job.generation_id is None and not _has_room(job, plan, policy):
        _hold(job, plan)
        return Waiting.BUDGET
    plan_carry_out(job, video, plan, routes, policy, beside=base.generation if base else None)
    return None


def routes_of_source(
    facts: SourceFacts, stored: Mapping[str, Any], requested: JobRequest, policy: JobPolicy
) -> tuple[Route, ...]:
    """Choose an encoder for each codec of a stored request: each has a device of its own, or the CPU.

    Audio alone never takes a GPU, and never waits for one. Raises GpuUnavailable.
    """
    if not facts.has_video:
        return cpu_routes(requested)
    colors = (each.video.color for each in (facts, *facts.others))
    high = any(color.hdr for color in colors if color)
    return tuple(
        route_for(each, gpu_preference(stored, each, policy.gpu), policy, high_range=high)
        for each in requested.of_each_codec
    )


def _wait(job: Job) -> None:
    if job.waiting_since is None:
        Job.objects.filter(id=job.id).update(phase=JobPhase.WAITING, waiting_since=Now())
        event_append(job_id=job.id, type=EventType.JOB_WAITING, data={"for": Waiting.GPU})


def _has_room(job: Job, plan: EncodePlan, policy: JobPolicy) -> bool:
    budget_lock(job.owner_id)
    open_seconds = open_work_seconds(job.owner_id, but=job.id)
    return fits(plan.work_seconds, open_seconds=open_seconds, max_seconds=policy.max_owner_work_seconds)


def _hold(job: Job, plan: EncodePlan) -> None:
    held = Job.objects.filter(id=job.id, phase=JobPhase.WAITING, waiting_since=None).update(
        work_seconds=plan.work_seconds
    )
    if not held:
        Job.objects.filter(id=job.id).update(phase=JobPhase.WAITING, waiting_since=None, work_seconds=plan.work_seconds)
        event_append(job_id=job.id, type=EventType.JOB_WAITING, data={"for": Waiting.BUDGET})


def encoder_choices(*, request: JobRequest, policy: JobPolicy, routes: Sequence[Route]) -> list[EncoderChoice]:
    """Return the encoders of routes with the measured speed of the workers that these lead to."""
    preset = preset_of(request, policy.plan)
    return [
        EncoderChoice(
            encoder=route.encoder,
            sessions=route.sessions,
            measured=throughput_measured(
                queue=queue_of(route.encoder), encoder=route.encoder.ffmpeg_name, preset=preset
            ),
        )
        for route in routes
    ]


def queue_of(encoder: VideoEncoder) -> str:
    """Return the queue whose workers run an encoder."""
    return GPU_QUEUE if encoder.hardware else CPU_QUEUE
