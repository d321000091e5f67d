"""Delivering the outputs of a job to a bucket of its owner's. What becomes of it changes nothing about the job.

Locks go video, job, step (see jobs.changes.locks).
"""

from uuid import UUID, uuid4

from django.db import transaction
from django.db.models.functions import Now

from access.models import Owner
from api.problems import Problem
from events.types import EventType
from jobs.changes.cache_invalidation import job_changed
from jobs.changes.endings import steps_cancel
from jobs.changes.events import event_append
from jobs.changes.locks import job_lock, owned_job_and_video_lock, video_lock
from jobs.changes.video_steps import video_step_create
from jobs.leasing.claim import Claim
from jobs.leasing.leases import LeaseLost, fenced
from jobs.leasing.steps import step_mark_done
from jobs.models import Job, OutputDelivery, Step
from jobs.rules.delivery import DeliveryState
from jobs.rules.steps import StepKind
from jobs.rules.transitions import JobState
from videos.models import Video

_UNDER_WAY = (DeliveryState.PENDING, DeliveryState.DELIVERING)


def delivery_create(*, job: Job, bucket: str, prefix: str) -> None:
    """Record where the outputs of a new job go. They are delivered when it is complete."""
    OutputDelivery.objects.create(job=job, bucket=bucket, prefix=prefix)


def delivery_request(*, job: Job, video: Video) -> None:
    """Request the delivery of a locked job that is complete, if it has a destination."""
    step_id = uuid4()
    requested = OutputDelivery.objects.filter(job=job).update(
        state=DeliveryState.PENDING,
        step_id=step_id,
        files=None,
        files_done=0,
        bytes_done=0,
        error_code="",
        error_detail="",
        delivered_at=None,
    )
    if requested:
        video_step_create(video=video, kind=StepKind.DELIVER, id=step_id, payload={"job": str(job.id)})


@transaction.atomic
def delivery_repeat(*, owner: Owner, job_id: UUID) -> None:
    """Deliver the outputs of a job once more.

    Raises Problem: 404 not the owner's, 409 it has no destination, is not complete, its outputs were deleted, or they
    are being delivered.
    """
    job, video = owned_job_and_video_lock(owner, job_id)
    delivery = OutputDelivery.objects.filter(job=job).first()
    if delivery is None:
        raise Problem(status=409, code="no_destination", detail="The job was created without a destination.")
    if job.state != JobState.COMPLETED or job.generation is None or job.generation.completed_at is None:
        raise Problem(status=409, code="no_outputs", detail="The job has no complete outputs.")
    if delivery.state in _UNDER_WAY:
        raise Problem(status=409, code="delivery_running", detail=f"The delivery is {delivery.state}.", retryable=True)
    delivery_request(job=job, video=video)
    job_changed(job.id, job.owner_id)


@transaction.atomic
def delivery_advance(*, claim: Claim, files: int, files_done: int, bytes_done: int) -> None:
    """Record how much of a `deliver` step is done: another attempt begins there. Raises LeaseLost."""
    if not fenced(claim).update(attempts_without_progress=0):
        raise LeaseLost(claim)
    rows = OutputDelivery.objects.filter(step_id=claim.step_id)
    rows.update(state=DeliveryState.DELIVERING, files=files, files_done=files_done, bytes_done=bytes_done)
    job = Job.objects.only("id", "owner_id").get(id=claim.payload["job"])
    job_changed(job.id, job.owner_id)


@transaction.atomic
def delivery_complete(*, claim: Claim, files: int, size: int) -> None:
    """Close a `deliver` step whose files are all in the bucket. Raises LeaseLost."""
    video_lock(claim.video_id)  # keeps the end of the step by somebody else away, who locks it before the job
    job = job_lock(UUID(claim.payload["job"]))
    if not step_mark_done(claim=claim, result={"files": files, "bytes": size}):
        return
    rows = OutputDelivery.objects.filter(step_id=claim.step_id)
    rows.update(state=DeliveryState.DELIVERED, files=files, files_done=files, bytes_done=size, delivered_at=Now())
    delivery = rows.get()
    data = {"bucket": delivery.bucket, "prefix": delivery.prefix, "files": files, "bytes": size}
    event_append(job_id=job.id, type=EventType.JOB_DELIVERED, data=data)


def delivery_fail(*, step: Step, code: str, detail: str) -> None:
    """Record that a locked step has failed for good."""
    job = job_lock(UUID(step.payload["job"]))
    delivery = OutputDelivery.objects.filter(step_id=step.id).first()
    if delivery is None:
        return
    _fail(delivery, code, detail)
    data = {"bucket": delivery.bucket, "prefix": delivery.prefix, "error": {"code": code, "detail": detail}}
    event_append(job_id=job.id, type=EventType.JOB_DELIVERY_FAILED, data=data)


def delivery_cancel(*, job: Job) -> None:
    """Stop the delivery of a locked job whose outputs are deleted. What is in the bucket stays there."""
    for delivery in OutputDelivery.objects.filter(job=job, state__in=_UNDER_WAY):
        steps_cancel(id=delivery.step_id)
        _fail(delivery, "outputs_deleted", "The outputs were deleted before they were delivered.")


def deliveries_cancel(*, video: Video) -> None:
    """Stop all deliveries of a locked video that is deleted."""
    under_way = OutputDelivery.objects.filter(job__video=video, state__in=_UNDER_WAY, step_id__isnull=False)
    steps_cancel(id__in=list(under_way.values_list("step_id", flat=True)))


def _fail(delivery: OutputDelivery, code: str, detail: str) -> None:
    rows = OutputDelivery.objects.filter(job=delivery.job_id)
    rows.update(state=DeliveryState.FAILED, error_code=code, error_detail=detail)
