"""Outcomes of steps: one service for each kind whose end writes more than the step's own row."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, cast
from uuid import UUID

from django.db import connection, transaction
from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Coalesce, Now

from events.log import video_event_append
from events.types import EventType
from jobs.changes.endings import generations_retire, gone_video_jobs_end, job_fail, leases_end, open_jobs_lock
from jobs.changes.events import event_append
from jobs.changes.locks import job_lock, video_lock
from jobs.changes.moves import job_move
from jobs.leasing.claim import Claim
from jobs.leasing.leases import LeaseLost, fenced
from jobs.leasing.steps import job_advance, step_mark_done
from jobs.lifecycle.delivering import delivery_request
from jobs.lifecycle.lifetimes import outputs_lifetime_begin, source_lifetime_begin
from jobs.lifecycle.texts import texts_request
from jobs.lifecycle.thumbnails import requested_thumbnails, thumbnails_ensure
from jobs.models import Job, Step
from jobs.planning.plans import job_plan
from jobs.planning.requests import job_request
from jobs.planning.steps import FALLBACK_FIELDS
from jobs.rules.policy import JobPolicy
from jobs.rules.retry import failure_of
from jobs.rules.steps import DECODER_ERRORS, MEASURED_KINDS, STAGES, Stage
from jobs.rules.transitions import JobPhase, JobState, StepState
from observability import metrics
from storage.keys import generation_number, video_prefix
from transcoding.errors import TranscodeError
from transcoding.planning.plan import EncodePlan
from transcoding.probing.facts import SourceFacts
from transcoding.probing.warnings import Notice, SourceWarning, warning_documents
from transcoding.texts.cues import Cues
from videos.assets.services import AssetFacts, assets_publish
from videos.counted import generations_release
from videos.models import Generation, Video
from videos.services import (
    VerifiedRendition,
    generation_complete,
    video_mark_deleted,
    video_mark_inspected,
    video_runs_delete,
    video_warn,
)
from videos.states import VideoState
from videos.texts.services import texts_fill

ROWS_AT_A_TIME = 5000


@transaction.atomic
def video_inspected(  # noqa: PLR0913 - all that an inspection leaves, by name
    *,
    claim: Claim,
    facts: Mapping[str, object],
    media: Mapping[str, object],
    warnings: Sequence[object],
    policy: JobPolicy,
    result: Mapping[str, object],
    working_copies: Mapping[str, int] | None = None,
) -> None:
    """Close an `inspect` step: record its findings and plan the jobs that wait for it. Raises LeaseLost.

    `working_copies`: bytes of the copies that it stored, by key after the prefix of the video.
    """
    video = video_lock(claim.video_id)
    if not step_mark_done(claim=claim, result=result):
        return
    source_lifetime_begin(video=video)
    video_mark_inspected(video=video, facts=facts, media=media, warnings=warnings, working_copies=working_copies)
    data = {"warnings": warning_documents(warnings)}
    video_event_append(owner_id=video.owner_id, video_id=video.id, type=EventType.VIDEO_READY, data=data)
    texts_request(video=video, facts=SourceFacts.from_json(facts), max_texts=policy.max_texts)
    for job in open_jobs_lock(video):
        if job.phase == JobPhase.INSPECTING:  # others are planned already, or will be when they resume
            _plan_or_fail(job, video, policy)


def _plan_or_fail(job: Job, video: Video, policy: JobPolicy) -> None:
    try:
        job_plan(job=job, video=video, requested=job_request(job.request), policy=policy)
    except TranscodeError as error:
        job_fail(job=job, failure=failure_of(error))


@transaction.atomic
def texts_extracted(*, claim: Claim, found: Mapping[UUID, Cues | str | None]) -> None:
    """Close a `text` step: players get the texts; those that failed, with a reason, are a warning. Raises LeaseLost."""
    video = video_lock(claim.video_id)
    if not step_mark_done(claim=claim, result={"texts": len(found)}):
        return
    texts_fill(video=video, found=found)


@transaction.atomic
def step_complete_assets(*, claim: Claim, assets: Sequence[AssetFacts], result: Mapping[str, object]) -> None:
    """Close a step that made assets, and publish them; their objects are in the store. Raises LeaseLost."""
    if claim.job_id is None or claim.generation_id is None:
        raise ValueError(f"a {claim.kind} step has no generation to make assets of")
    job = job_lock(claim.job_id)
    if step_mark_done(claim=claim, result=result):
        assets_publish(generation_id=claim.generation_id, assets=assets)
        job_advance(job=job)


@transaction.atomic
def job_complete(*, claim: Claim, verified: Sequence[VerifiedRendition], result: Mapping[str, object]) -> None:
    """Close a `finish` step: complete its job and generation, which players then get. Raises LeaseLost."""
    if claim.job_id is None or claim.generation_id is None:
        raise ValueError(f"a {claim.kind} step finishes no job")
    video = video_lock(claim.video_id)
    job = job_lock(claim.job_id)
    if not step_mark_done(claim=claim, result=result):
        return
    generation = Generation.objects.get(id=claim.generation_id)
    generation_complete(generation=generation, verified=verified)
    outputs_lifetime_begin(generation=generation, job=job)
    generations_retire(job_id=job.id, but=generation.id)
    plan = EncodePlan.from_json(generation.plan)
    metadata = _job_metadata(job, plan)
    if errors := _decoder_errors(generation, plan):
        video_warn(video=video, warning=Notice(code=SourceWarning.DAMAGED, count=errors))
    job_move(
        job=job,
        to=JobState.COMPLETED,
        phase=JobPhase.ENDED,
        finished_at=Now(),
        playable_at=Coalesce("playable_at", Now()),
        waiting_since=None,
        metadata=metadata,
    )
    event_append(job_id=job.id, type=EventType.JOB_COMPLETED, data={"generation": generation.number})
    delivery_request(job=job, video=video)
    if images := requested_thumbnails(job.request):
        thumbnails_ensure(video=video, request=images)
    if speed := metadata.get("processing_speed"):
        transaction.on_commit(lambda: metrics.JOB_SPEED.observe(speed))


def continued_metadata(job: Job, segments_kept: int, *, retried: bool) -> dict[str, object]:
    """Return the metadata of a retried or resumed job: retries, segments that are published, fallback reason."""
    fallback = {name: job.metadata[name] for name in FALLBACK_FIELDS if name in job.metadata}
    retries = int(job.metadata.get("retries", 0)) + retried
    return {**fallback, **({"retries": retries} if retries else {}), "segments_kept": segments_kept}


def _job_metadata(job: Job, plan: EncodePlan) -> dict[str, Any]:
    """Describe how a job was processed; its speed is seconds of video per second since it was started or retried.

    What was paced by its source has no speed: it would lower the averages of those that were not.
    """
    taken = ExpressionWrapper(Now() - F("started_at"), output_field=DurationField())
    elapsed: timedelta = Job.objects.annotate(taken=taken).values_list("taken", flat=True).get(id=job.id)
    seconds = max(elapsed.total_seconds(), 0.001)
    metadata = {**_device_metadata(job, plan), **job.metadata, "processing_time_seconds": round(seconds, 3)}
    if plan.open_ended:
        return metadata
    units = plan.total_segments * (len(plan.audio) if plan.audio_only else len(plan.groups))
    encoded = plan.grid.duration * (1 - Fraction(job.metadata.get("segments_kept", 0), units))
    return {**metadata, "processing_speed": round(float(encoded) / seconds, 3)}


def _decoder_errors(generation: Generation, plan: EncodePlan) -> int:
    """Return how many errors decoders reported while they read the source once, as far as the steps know.

    A chunk has a step for each group of renditions, and each of these decodes it: those of the first group count.
    """
    decoding = Step.objects.filter(generation=generation, state=StepState.DONE, kind__in=STAGES[Stage.ENCODE])
    found = decoding.values_list("kind", "ordinal", f"result__{DECODER_ERRORS}")
    first = {run.ordinal for run in plan.chunk_runs() if run.group == plan.groups[0]}
    once = (errors for kind, ordinal, errors in found if kind not in MEASURED_KINDS or ordinal in first)
    return sum(errors or 0 for errors in once)


def _device_metadata(job: Job, plan: EncodePlan) -> dict[str, Any]:
    """Name the encoders, those on a GPU if there are any, and the GPU: of several, the one that ran most steps."""
    encoders = [encoding.encoder for encoding in plan.encodings]
    on_cpu = [encoder.ffmpeg_name for encoder in encoders if not encoder.hardware]
    on_gpu = [encoder.ffmpeg_name for encoder in encoders if encoder.hardware]
    if not on_gpu:
        names = on_cpu or [plan.audio[0].encoder.ffmpeg_name]
        return {"gpu_enabled": False, "gpu_fallback": False, "cpu_codec": ", ".join(names)}
    on_devices = Step.objects.filter(generation=job.generation_id, state=StepState.DONE).exclude(device="")
    indexes = Counter(on_devices.values_list("result__device_index", flat=True))
    (index, _) = indexes.most_common(1)[0]
    return {"gpu_enabled": True, "gpu_device": index, "gpu_codec": ", ".join(on_gpu)}


@transaction.atomic
def video_jobs_end(*, claim: Claim) -> bool:
    """End some open jobs of a `purge` step's video, if it was deleted or rejected. Return False once all have ended.

    Raises LeaseLost.
    """
    video = video_lock(claim.video_id)
    if not fenced(claim).exists():
        raise LeaseLost(claim)
    return gone_video_jobs_end(video=video)


def video_writers_seconds(*, video: Video) -> float:
    """Return the seconds for which cancelled steps of a video may still write; 0: they have stopped."""
    until = leases_end(video)
    return max(0.0, (until - _now()).total_seconds()) if until else 0.0


def _now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    return cast("datetime", now)


@transaction.atomic
def video_rows_delete(*, claim: Claim, at_a_time: int = ROWS_AT_A_TIME) -> bool:
    """Delete some rows that named objects of a deleted video. Return False once there are none. Raises LeaseLost."""
    if not fenced(claim).exists():
        raise LeaseLost(claim)
    return video_runs_delete(video_id=claim.video_id, at_a_time=at_a_time)


@transaction.atomic
def video_purged(*, claim: Claim, objects: int) -> None:
    """Close a `purge` step that has removed every object under its prefix. Raises LeaseLost."""
    video = video_lock(claim.video_id)
    closed = step_mark_done(claim=claim, result={"objects": objects})
    whole = claim.payload["prefix"] == video_prefix(claim.video_id)
    if number := generation_number(claim.payload["prefix"]):
        generations_release(video_id=video.id, number=number)
    if closed and whole and video.state == VideoState.DELETING:
        video_mark_deleted(video=video)
        video_event_append(owner_id=video.owner_id, video_id=video.id, type=EventType.VIDEO_DELETED)
