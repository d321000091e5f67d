from collections.abc import Iterable
from enum import StrEnum
from functools import reduce
from operator import or_
from uuid import uuid4

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from access.models import Owner
from jobs.rules.delivery import DeliveryState
from jobs.rules.rank import HIGHEST_PRIORITY, LOWEST_PRIORITY
from jobs.rules.steps import (
    CPU_QUEUE,
    LIVE_KINDS,
    MEASURED_KINDS,
    QUEUES,
    UNCLAIMED_KINDS,
    VIDEO_KINDS,
    StepKind,
    kinds_where,
)
from jobs.rules.transitions import JOB_ENDS, JobPhase, JobState, StepState
from videos.models import Generation, Video


def _one_of(field: str, values: type[StrEnum]) -> Q:
    return Q(**{f"{field}__in": [value.value for value in values]})


def _in_state(*states: StrEnum) -> Q:
    return Q(state__in=sorted(state.value for state in states))


def _of_kind(kinds: Iterable[StepKind]) -> Q:
    return reduce(or_, (Q(kind=kind.value) for kind in kinds))


_UNCLAIMED = _of_kind(UNCLAIMED_KINDS)
_WITHOUT_JOB = Q(job__isnull=True, generation__isnull=True)


class Job(models.Model):
    """One request to transcode one video."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    owner = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="+", db_index=False)
    video = models.ForeignKey(Video, on_delete=models.PROTECT, related_name="jobs")
    generation = models.ForeignKey(Generation, on_delete=models.SET_NULL, null=True, related_name="+")
    """The newest one; None before the job is planned."""
    state = models.TextField(default=JobState.QUEUED.value)
    phase = models.TextField(default=JobPhase.INSPECTING.value, blank=True)
    priority = models.PositiveSmallIntegerField()
    request = models.JSONField()
    """The validated body of the transcode request, defaults included."""
    external_id = models.TextField(blank=True, db_default="")
    client_metadata = models.JSONField(default=dict, db_default={})
    """The owner's own, like `external_id`: stored and returned, never read here."""
    open_steps = models.IntegerField(default=0)
    """Steps of the current stage that are not done, counted under the job's lock."""
    last_event = models.IntegerField(default=0)
    """Sequence number of the job's newest event, counted under the job's lock."""
    last_reported_progress = models.PositiveSmallIntegerField(default=0)
    """Per cent in the newest progress event."""
    error_code = models.TextField(blank=True)
    error_detail = models.TextField(blank=True)
    error_details = models.TextField(blank=True, db_default="")
    """Words of the program that failed."""
    error_retryable = models.BooleanField(default=False)
    work_seconds = models.FloatField(default=0.0, db_default=0.0)
    """Work that its newest plan expects, in seconds of one worker slot; 0 before it is planned for the first time."""
    metadata = models.JSONField(default=dict)
    """Facts of processing: GPU or CPU, speed, retries (see docs/operations.md)."""
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    playable_at = models.DateTimeField(null=True)
    waiting_since = models.DateTimeField(null=True)
    """The moment since which no GPU meets the requirements of its steps; None: one does, or none is required.

    A job in the phase `waiting` without it waits for other jobs of its owner to end.
    """
    deleted_at = models.DateTimeField(null=True)
    """The moment at which its owner deleted it. It is hidden; the janitor removes the row later, with its events."""

    class Meta:
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"], name="jobs_job_newest"),
            models.Index(fields=["finished_at"], name="jobs_job_finished"),
            models.Index(fields=["state"], name="jobs_job_open", condition=Q(finished_at__isnull=True)),
            models.Index(fields=["owner"], name="jobs_job_open_of_owner", condition=Q(finished_at__isnull=True)),
            models.Index(fields=["video"], name="jobs_job_open_of_video", condition=Q(finished_at__isnull=True)),
            models.Index(fields=["-created_at", "-id"], name="jobs_job_newest_of_all"),
            models.Index(fields=["state", "-created_at", "-id"], name="jobs_job_newest_in_state"),
            models.Index(
                fields=["error_code", "-created_at", "-id"], name="jobs_job_newest_error", condition=~Q(error_code="")
            ),
            models.Index(fields=["external_id", "owner"], name="jobs_job_external", condition=~Q(external_id="")),
            models.Index(fields=["waiting_since"], name="jobs_job_waiting", condition=Q(waiting_since__isnull=False)),
            models.Index(
                fields=["owner", "created_at"],
                name="jobs_job_held",
                condition=Q(phase=JobPhase.WAITING.value, waiting_since__isnull=True),
            ),
            models.Index(fields=["deleted_at"], name="jobs_job_deleted", condition=Q(deleted_at__isnull=False)),
        ]
        constraints = [
            models.CheckConstraint(name="jobs_job_state", condition=_one_of("state", JobState)),
            models.CheckConstraint(name="jobs_job_phase", condition=_one_of("phase", JobPhase)),
            models.CheckConstraint(
                name="jobs_job_priority", condition=Q(priority__range=(LOWEST_PRIORITY, HIGHEST_PRIORITY))
            ),
            models.CheckConstraint(name="jobs_job_open_steps", condition=Q(open_steps__gte=0)),
            models.CheckConstraint(
                name="jobs_job_finished_at", condition=Q(finished_at__isnull=True) ^ _in_state(*JOB_ENDS)
            ),
            models.CheckConstraint(
                name="jobs_job_failed_says_why", condition=~_in_state(JobState.FAILED) | ~Q(error_code="")
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class OutputDelivery(models.Model):
    """The copy of a job's outputs in a bucket that its owner named."""

    job = models.OneToOneField(Job, on_delete=models.CASCADE, primary_key=True, related_name="delivery")
    bucket = models.TextField()
    """Alias of the operator's."""
    prefix = models.TextField()
    """Folder in it, without a slash at the end."""
    state = models.TextField(default=DeliveryState.PENDING.value)
    step_id = models.UUIDField(null=True)
    """The newest step that makes it."""
    files = models.PositiveIntegerField(null=True)
    """All files of it, once they are known."""
    files_done = models.PositiveIntegerField(default=0)
    bytes_done = models.BigIntegerField(default=0)
    error_code = models.TextField(blank=True)
    error_detail = models.TextField(blank=True)
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="jobs_delivery_state", condition=_one_of("state", DeliveryState)),
            models.CheckConstraint(
                name="jobs_delivery_failed_says_why",
                condition=~_in_state(DeliveryState.FAILED) | ~Q(error_code=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.bucket}/{self.prefix}"


class Step(models.Model):
    """A unit of work that one worker process claims and runs under a lease."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    owner = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="+", db_index=False)
    video = models.ForeignKey(Video, on_delete=models.PROTECT, null=True, related_name="+")
    """None: the step is of a kind that no worker claims, such as `relay`."""
    job = models.ForeignKey(Job, on_delete=models.CASCADE, null=True, related_name="steps")
    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, null=True, related_name="+", db_index=False)
    kind = models.TextField()
    ordinal = models.PositiveIntegerField(default=0)
    queue = models.TextField(default=CPU_QUEUE)
    encoder = models.TextField(default="", blank=True)
    """The requirement that a GPU must meet (see `device_requirement`); empty: any worker may claim the step."""
    sessions = models.PositiveSmallIntegerField(default=0)
    """Slots that the step takes on its GPU; 0 without one."""
    device = models.TextField(default="", blank=True)
    """UUID of the GPU that the step runs on, or ran on last."""
    state = models.TextField(default=StepState.READY.value)
    lead_seconds = models.IntegerField(db_default=0)
    """Seconds that the priority is worth. Steps of one lane share owner, lead, encoder and sessions."""
    rank_at = models.DateTimeField()
    """The moment at which the step became ready, less its lead (see `jobs.rules.rank`)."""
    not_before = models.DateTimeField(null=True)
    attempt = models.PositiveIntegerField(default=0)
    """The fencing token: the number of claims so far."""
    failures = models.PositiveIntegerField(default=0)
    """Failed attempts that count against the retry policy."""
    attempts_without_progress = models.PositiveIntegerField(default=0)
    """Attempts in a row, a running one included, that published nothing new."""
    units_total = models.PositiveIntegerField(default=0, null=True)
    """Segments to publish; None while the step is open: its source has not ended."""
    units_done = models.PositiveIntegerField(default=0)
    """Segments published so far in every rendition of the step."""
    payload = models.JSONField(default=dict)
    """Parameters of the step, such as its first segment or a purge's prefix."""
    lease_expires_at = models.DateTimeField(null=True)
    node = models.TextField(blank=True)
    worker_pid = models.PositiveIntegerField(null=True)
    claimed_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    error_code = models.TextField(blank=True)
    error_detail = models.TextField(blank=True)
    result = models.JSONField(null=True)
    """Measurements of the last attempt, or the end of its log."""
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [
            models.Index(
                fields=["queue", "owner", "encoder", "sessions", "lead_seconds", "rank_at", "ordinal"],
                name="jobs_step_order",
                condition=_in_state(StepState.READY),
            ),
            models.Index(  # workers of 0.1 claim by it, also while they are replaced: it goes in 0.3
                fields=["queue", "owner", "lead_seconds", "encoder", "sessions", "rank_at", "ordinal"],
                name="jobs_step_ready",
                condition=_in_state(StepState.READY),
            ),
            models.Index(
                fields=["queue", "owner", "lead_seconds", "encoder", "sessions", "claimed_at"],
                name="jobs_step_served",
                condition=Q(claimed_at__isnull=False),
            ),
            models.Index(
                fields=["queue", "owner", "claimed_at"],
                name="jobs_step_owner_served",
                condition=Q(claimed_at__isnull=False),
            ),
            models.Index(
                fields=["queue", "finished_at"],
                name="jobs_step_measured",
                condition=_of_kind(MEASURED_KINDS) & _in_state(StepState.DONE),
            ),
            models.Index(fields=["lease_expires_at"], name="jobs_step_lease", condition=_in_state(StepState.RUNNING)),
            models.Index(
                fields=["device"],
                name="jobs_step_slots",
                condition=Q(sessions__gt=0, lease_expires_at__isnull=False),
            ),
            models.Index(
                fields=["encoder", "sessions", "error_code", "job"],
                name="jobs_step_needs",
                condition=Q(sessions__gt=0) & _in_state(StepState.READY, StepState.DELAYED),
            ),
            models.Index(fields=["not_before"], name="jobs_step_delayed", condition=_in_state(StepState.DELAYED)),
            models.Index(
                fields=["video"],
                name="jobs_step_purges",
                condition=_of_kind(kinds_where(lambda spec: spec.retries_forever)),
            ),
            models.Index(
                fields=["video", "lease_expires_at"],
                name="jobs_step_cancelled",
                condition=_in_state(StepState.CANCELLED) & Q(lease_expires_at__isnull=False),
            ),
            models.Index(
                fields=["-finished_at", "-id"], name="jobs_step_newest_failed", condition=_in_state(StepState.FAILED)
            ),
        ]
        constraints = [
            models.CheckConstraint(name="jobs_step_state", condition=_one_of("state", StepState)),
            models.CheckConstraint(name="jobs_step_kind", condition=_one_of("kind", StepKind)),
            models.CheckConstraint(
                name="jobs_step_queue", condition=(~_UNCLAIMED & Q(queue__in=QUEUES)) | (_UNCLAIMED & Q(queue=""))
            ),
            models.CheckConstraint(
                name="jobs_step_belongs",
                condition=(Q(video__isnull=False) & _WITHOUT_JOB & Q(kind__in=[kind.value for kind in VIDEO_KINDS]))
                | (Q(video__isnull=False) & ~_UNCLAIMED & Q(job__isnull=False, generation__isnull=False))
                | (Q(video__isnull=False) & _of_kind(LIVE_KINDS) & Q(job__isnull=False, generation__isnull=True))
                | (_UNCLAIMED & _WITHOUT_JOB & Q(video__isnull=True)),
            ),
            models.CheckConstraint(
                name="jobs_step_unclaimed_holds_a_slot",
                condition=~_UNCLAIMED | (_in_state(StepState.RUNNING) & Q(sessions__gt=0)),
            ),
            models.CheckConstraint(
                name="jobs_step_running_is_leased",
                condition=~_in_state(StepState.RUNNING)
                | (Q(lease_expires_at__isnull=False, attempt__gte=1, worker_pid__isnull=False) & ~Q(node="")),
            ),
            models.CheckConstraint(
                name="jobs_step_delayed_until", condition=~_in_state(StepState.DELAYED) ^ Q(not_before__isnull=False)
            ),
            models.CheckConstraint(
                name="jobs_step_sessions", condition=Q(sessions=0, encoder="") | (Q(sessions__gt=0) & ~Q(encoder=""))
            ),
            models.CheckConstraint(
                name="jobs_step_runs_on_a_device",
                condition=~_in_state(StepState.RUNNING)
                | Q(sessions=0, device="")
                | (Q(sessions__gt=0) & ~Q(device="")),
            ),
            models.CheckConstraint(name="jobs_step_units", condition=Q(units_done__lte=F("units_total"))),
            models.CheckConstraint(
                name="jobs_step_done_is_whole",
                condition=~_in_state(StepState.DONE)
                | Q(units_total__isnull=False, units_done=F("units_total")),  # NULL = NULL would pass
            ),
            models.UniqueConstraint(fields=["generation", "kind", "ordinal"], name="jobs_step_once"),
            models.UniqueConstraint(
                fields=["video"],
                name="jobs_step_one_inspection",
                condition=_of_kind(kinds_where(lambda spec: spec.once_per_video))
                & _in_state(StepState.READY, StepState.DELAYED, StepState.RUNNING),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.ordinal}"


class NodeState(models.TextChoices):
    """Orders of the operator: an active node claims steps, a draining one releases them."""

    ACTIVE = "active"
    DRAINING = "draining"


class Node(models.Model):
    """A worker node as it last registered."""

    name = models.TextField(primary_key=True)
    queues = ArrayField(models.TextField())
    slots = models.PositiveIntegerField()
    state = models.TextField(default=NodeState.ACTIVE.value)
    pid = models.PositiveIntegerField()
    info = models.JSONField(default=dict)
    started_at = models.DateTimeField(db_default=Now())
    last_seen = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(name="jobs_node_state", condition=Q(state__in=NodeState.values)),
        ]

    def __str__(self) -> str:
        return self.name
