"""Plan documents, of a job or of a dry run: plan, commands, reasons and an estimate of the time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from access.models import Owner
from api.database import release_connection
from api.problems import Problem, not_found
from jobs.leasing.nodes import slots_alive
from jobs.models import Job
from jobs.planning.budget import fits, open_work_seconds
from jobs.planning.companions import base_of, plan_beside
from jobs.planning.images import with_image
from jobs.planning.plans import encoder_choices, queue_of, routes_of_source
from jobs.planning.requests import job_request, refuse_impossible
from jobs.planning.routing import FALLBACK_TEXTS, GpuUnavailable, Route
from jobs.planning.texts import with_text
from jobs.reports.selectors import devices_used, jobs_of
from jobs.rules.policy import JobPolicy
from jobs.rules.steps import CPU_QUEUE, GPU_QUEUE
from jobs.rules.transitions import JOB_ENDS
from transcoding.encoders import VideoEncoder
from transcoding.errors import UnknownVersion
from transcoding.explanation.estimates import estimate
from transcoding.explanation.reasons import CPU_DEVICE, explain
from transcoding.explanation.steps import planned_steps, step_counts
from transcoding.planning.encodings import Encoding
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.probing.facts import SourceFacts
from videos.models import Video
from videos.selectors import source_deleted, video_find
from videos.states import VideoState


@dataclass(frozen=True, slots=True)
class StepPage:
    """The part of a plan's steps that a document shows."""

    offset: int
    limit: int


def job_preview(
    *, owner: Owner, video_id: UUID, request: dict[str, Any], policy: JobPolicy, page: StepPage
) -> Mapping[str, object]:
    """Return the plan document that a job would have. Nothing is written.

    Planning and rendering hold no database connection.

    Raises Problem: 404 not the owner's, 409 not inspected yet, without a source or without the GPU that it requires,
    422 rejected; InputRejected when beyond the limits.
    """
    video = video_find(owner=owner, video_id=video_id)
    if video is None:
        raise not_found("video")
    facts = _facts(video)
    if video.source_deleted_at:
        raise source_deleted()
    requested = with_text(with_image(job_request(request), owner.id, new=True), video)
    refuse_impossible(request, requested, policy.gpu)
    routes = _routes(facts, request, requested, policy)
    choices = encoder_choices(request=requested, policy=policy, routes=routes)
    slots = slots_alive(queue=_queue([route.encoder for route in routes]), silence_seconds=policy.silence_seconds)
    open_seconds = open_work_seconds(owner.id)
    base = base_of(video) if requested.beside else None
    release_connection()
    try:
        plan = plan_job(facts, requested, policy.plan, encoders=choices)
    except UnknownVersion as error:
        raise _inspected_by_another() from error
    plan = plan_beside(plan, base) if base else plan
    reason = next((route.fallback_reason for route in routes if route.fallback_reason), "")
    document = _document(plan, requested, policy, page, slots=slots, fallback_reason=reason)
    budget = _budget(plan.work_seconds, open_seconds, policy)
    return {"video_id": video.id, "job_id": None, "generation": None, "devices": [], "budget": budget, **document}


def job_plan_document(*, owner: Owner, job_id: UUID, policy: JobPolicy, page: StepPage) -> Mapping[str, object]:
    """Return the plan document of a job's newest generation. Raises Problem: 404 not the owner's, 409 not planned.

    Rendering holds no database connection.
    """
    job = jobs_of(owner).select_related("generation").filter(id=job_id).first()
    if job is None:
        raise not_found("job")
    if job.generation is None:
        raise _unplanned(job)
    plan = EncodePlan.from_json(job.generation.plan)
    reason = job.metadata.get("fallback_reason", "")
    queue = _queue([encoding.encoder for encoding in plan.encodings])
    slots = slots_alive(queue=queue, silence_seconds=policy.silence_seconds)
    number, devices = job.generation.number, devices_used(job.generation)
    open_seconds = open_work_seconds(owner.id, but=job.id)
    release_connection()
    document = _document(plan, job_request(job.request), policy, page, slots=slots, fallback_reason=reason)
    return {
        "video_id": job.video_id,
        "job_id": job.id,
        "generation": number,
        "devices": devices,
        "budget": _budget(job.work_seconds, open_seconds, policy),
        **document,
    }


def _budget(work: float, open_seconds: float, policy: JobPolicy) -> Mapping[str, object]:
    """Return the work of a job beside that of its owner's other open jobs, and the limits of both."""
    return {
        "job_seconds": round(work, 1),
        "max_job_seconds": policy.plan.max_work_seconds,
        "open_seconds": round(open_seconds, 1),
        "max_open_seconds": policy.max_owner_work_seconds,
        "fits": fits(work, open_seconds=open_seconds, max_seconds=policy.max_owner_work_seconds),
    }


def _routes(
    facts: SourceFacts, request: Mapping[str, Any], requested: JobRequest, policy: JobPolicy
) -> tuple[Route, ...]:
    try:
        return routes_of_source(facts, request, requested, policy)
    except GpuUnavailable as error:
        codecs = " and ".join(each.video_codec for each in requested.of_each_codec)
        detail = f"No GPU that can encode {codecs} is there now; a job would wait for one."
        raise Problem(status=409, code=error.code, detail=detail, retryable=True) from error


def _facts(video: Video) -> SourceFacts:
    if video.state == VideoState.REJECTED:
        detail = f"The video was rejected: {video.error_detail}"
        raise Problem(status=422, code=video.error_code, detail=detail, details=video.error_details)
    if video.state != VideoState.READY:
        raise Problem(
            status=409, code="video_not_inspected", detail="The video has not been inspected yet.", retryable=True
        )
    try:
        return SourceFacts.from_json(video.facts)
    except UnknownVersion as error:
        raise _inspected_by_another() from error


def _inspected_by_another() -> Problem:
    detail = "Another version of the program inspected the video; a job will have it inspected again."
    return Problem(status=409, code="video_not_inspected", detail=detail, retryable=True)


def _unplanned(job: Job) -> Problem:
    over = job.state in JOB_ENDS
    detail = f"The job {'was never' if over else 'has not been'} planned{'' if over else ' yet'}."
    return Problem(status=409, code="job_not_planned", detail=detail, retryable=not over)


def _reasons(plan: EncodePlan, request: JobRequest, fallback_reason: str) -> Iterator[Mapping[str, object]]:
    """Yield the reason for each choice of a plan. The plan itself does not say that it is a fallback from a GPU."""
    for reason in explain(plan, request):
        fell_back = reason.choice == "device" and reason.value == CPU_DEVICE and fallback_reason
        why = FALLBACK_TEXTS.get(fallback_reason, f"the GPU failed: {fallback_reason}")
        yield {**asdict(reason), "because": f"a GPU was preferred, but {why}"} if fell_back else asdict(reason)


def _queue(encoders: Sequence[VideoEncoder]) -> str:
    """Return the queue that an estimate is for: that of the CPU, which is the slower one, unless nothing is there."""
    queues = {queue_of(encoder) for encoder in encoders}
    return GPU_QUEUE if queues == {GPU_QUEUE} else CPU_QUEUE


def _audio_encoder(plan: EncodePlan) -> Mapping[str, object]:
    encoder = plan.audio[0].encoder
    return {"codec": encoder.codec, "encoder": encoder.ffmpeg_name, "preset": None, "frame_rate": None}


def _video_encoder(plan: EncodePlan) -> Mapping[str, object]:
    return {
        "codec": plan.encodings[0].codec,
        "encoder": plan.encodings[0].encoder_name,
        "preset": plan.encodings[0].preset,
        "frame_rate": float(plan.grid.rate),
    }


def _encoding(plan: EncodePlan, encoding: Encoding) -> Mapping[str, object]:
    """Describe how a codec is encoded, and what that costs."""
    known = encoding.speed and not plan.grid.is_open
    return {
        "codec": encoding.codec,
        "encoder": encoding.encoder_name,
        "preset": encoding.preset,
        "device": encoding.hardware_path,
        "passes": 1 + encoding.two_pass,
        "speed": encoding.speed or None,
        "work_seconds": round(float(plan.grid.duration) / encoding.speed, 1) if known else None,
        "renditions": [rendition.name for rendition in plan.renditions if rendition.codec == encoding.codec],
    }


def _document(  # noqa: PLR0913 - all that it is made of
    plan: EncodePlan, request: JobRequest, policy: JobPolicy, page: StepPage, *, slots: int, fallback_reason: str
) -> dict[str, object]:
    counts = step_counts(plan)
    expected = estimate(plan, slots=slots)
    ends = not plan.grid.is_open
    return {
        **(_audio_encoder(plan) if plan.audio_only else _video_encoder(plan)),
        "duration": float(plan.grid.duration) if ends else None,
        "total_frames": plan.total_frames if ends and not plan.audio_only else None,
        "total_segments": plan.total_segments if ends else None,
        "encodings": [_encoding(plan, encoding) for encoding in plan.encodings],
        "renditions": [asdict(rendition) for rendition in plan.renditions],
        "audio": [asdict(track) for track in plan.audio],
        "color": asdict(plan.color) if plan.color else None,
        "warnings": [warning.to_document() for warning in plan.warnings],
        "reasons": list(_reasons(plan, request, fallback_reason)),
        "step_counts": counts,
        "steps_total": sum(counts.values()),
        "steps": [
            asdict(step)
            for step in planned_steps(
                plan,
                threads=policy.ffmpeg_threads,
                max_pixels=policy.max_pixels,
                offset=page.offset,
                limit=page.limit,
            )
        ],
        "estimate": asdict(expected) if expected else None,
    }
