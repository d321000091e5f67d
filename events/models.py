"""The log of everything that happened, and whom to tell about it."""

from enum import StrEnum
from uuid import uuid4

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Now

from access.models import Owner


class CurrentTransaction(Func):
    """The number of the writing transaction. With it, readers can tell what may still be committed before what."""

    template = "pg_current_xact_id()::text::bigint"
    arity = 0
    output_field = models.BigIntegerField()


class Event(models.Model):
    """Something that happened to a video, or to one of its jobs; those are numbered from 1 without gaps (`seq`).

    Events of live sessions belong to their owner only: their data says what they are about.

    Ids are given out before they are committed, so reading by id alone can miss some: see `events.log`.
    """

    id = models.BigAutoField(primary_key=True)
    transaction = models.BigIntegerField(db_default=CurrentTransaction(), editable=False)
    uid = models.UUIDField(db_default=RandomUUID(), editable=False)
    owner = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="+", db_index=False)
    video_id = models.UUIDField(null=True)
    job_id = models.UUIDField(null=True)
    seq = models.PositiveIntegerField(null=True)
    type = models.TextField()
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["transaction", "id"], name="events_event_order"),
            models.Index(fields=["owner", "transaction", "id"], name="events_event_owner"),
            models.Index(fields=["created_at"], name="events_event_age"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["job_id", "seq"], name="events_event_seq"),
            models.CheckConstraint(
                name="events_event_of_job",
                condition=Q(job_id__isnull=True, seq__isnull=True) | Q(job_id__isnull=False, seq__isnull=False),
            ),
        ]


class EndpointState(StrEnum):
    """Enabled endpoints receive events; one that fails for too long is disabled."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class WebhookEndpoint(models.Model):
    """The URL of an owner that events are posted to. No `types`: of everything but progress.

    `sha256_signature` adds the header `X-Webhook-Signature` to those of the specification. Both
    secrets sign as long as the old one has not expired. Events from `fresh_from` on are delivered.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    owner = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="+")
    url = models.TextField()
    description = models.TextField(blank=True)
    types = ArrayField(models.TextField(), default=list)
    secret = models.TextField()
    old_secret = models.TextField(blank=True)
    old_secret_expires_at = models.DateTimeField(null=True)
    sha256_signature = models.BooleanField(default=False, db_default=False)
    state = models.TextField(default=EndpointState.ENABLED.value)
    disabled_reason = models.TextField(blank=True)
    fresh_from = models.DateTimeField(db_default=Now())
    delivered_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="events_endpoint_state", condition=Q(state__in=[state.value for state in EndpointState])
            ),
        ]

    def __str__(self) -> str:
        return self.url


class DeliveryState(StrEnum):
    """`sending` is a lease that ends at `next_attempt_at`: whoever died while sending is followed by another."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Delivery(models.Model):
    """One event on its way to one endpoint."""

    id = models.UUIDField(primary_key=True, default=uuid4, db_default=RandomUUID(), editable=False)
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="+")
    state = models.TextField(db_default=DeliveryState.PENDING.value)
    attempts = models.PositiveIntegerField(db_default=0)
    tried_since = models.DateTimeField(null=True)
    """The first attempt, from which on it is tried for a day; later where it is sent again."""
    next_attempt_at = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                name="events_delivery_due",
                condition=Q(state__in=[DeliveryState.PENDING.value, DeliveryState.SENDING.value]),
            ),
            models.Index(F("endpoint"), F("created_at").desc(), F("id").desc(), name="events_delivery_newest"),
            models.Index(fields=["-created_at", "-id"], name="events_delivery_newest_of_all"),
            models.Index(
                fields=["-created_at", "-id"],
                name="events_delivery_newest_failed",
                condition=Q(state=DeliveryState.FAILED.value),
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "event"], name="events_delivery_once"),
            models.CheckConstraint(
                name="events_delivery_state", condition=Q(state__in=[state.value for state in DeliveryState])
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class DeliveryAttempt(models.Model):
    """One attempt to send a delivery. `status` is the HTTP status, if there was an answer."""

    id = models.BigAutoField(primary_key=True)
    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="log", db_index=False)
    number = models.PositiveIntegerField()
    status = models.PositiveSmallIntegerField(null=True)
    error = models.TextField(blank=True)
    response = models.TextField(blank=True)
    milliseconds = models.PositiveIntegerField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [models.Index(fields=["delivery", "number"], name="events_attempt_order")]


class FanOut(models.Model):
    """Up to where the log was turned into deliveries: one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    transaction = models.BigIntegerField()
    event_id = models.BigIntegerField()

    class Meta:
        constraints = [models.CheckConstraint(name="events_fanout_single", condition=Q(id=1))]
