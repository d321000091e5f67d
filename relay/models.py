from enum import StrEnum

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from access.models import Owner
from relay.engines.engine import EngineKind


class SessionState(StrEnum):
    """A session is starting until viewers get its first byte; then it is live until it has ended or failed."""

    STARTING = "starting"
    LIVE = "live"
    ENDED = "ended"
    FAILED = "failed"


class LiveSession(models.Model):
    """One run of an engine over one source, for all viewers that share it. A relay process writes it."""

    id = models.UUIDField(primary_key=True, editable=False)
    owner = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="+", db_index=False)
    key_id = models.UUIDField(null=True)
    """The key of the viewer that came first; None: a person."""
    node = models.TextField()
    engine = models.TextField()
    profile = models.TextField()
    source_url = models.TextField(blank=True)
    """Scheme, host and file of the source, without anything secret; empty: the viewer sent it."""
    source_host = models.TextField(blank=True)
    state = models.TextField(default=SessionState.STARTING.value)
    encoder = models.TextField(blank=True)
    fallback_code = models.TextField(blank=True)
    fallback_detail = models.TextField(blank=True)
    viewers = models.PositiveIntegerField(default=0)
    bytes_in = models.PositiveBigIntegerField(default=0)
    bytes_out = models.PositiveBigIntegerField(default=0)
    reconnects = models.PositiveIntegerField(default=0)
    restarts = models.PositiveIntegerField(default=0)
    dropped_viewers = models.PositiveIntegerField(default=0)
    silence_ms = models.PositiveBigIntegerField(default=0)
    decode_errors = models.PositiveBigIntegerField(default=0)
    drift_ms = models.IntegerField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    first_byte_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(db_default=Now())
    """Time of the relay's last report about it."""
    end_requested_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    end_code = models.TextField(blank=True)
    end_detail = models.TextField(blank=True)

    class Meta:
        indexes = [
            models.Index(F("owner"), F("created_at").desc(), F("id").desc(), name="relay_session_newest"),
            models.Index(fields=["-created_at", "-id"], name="relay_session_newest_of_all"),
            models.Index(fields=["node", "seen_at"], name="relay_session_open", condition=Q(ended_at__isnull=True)),
            models.Index(fields=["ended_at"], name="relay_session_ended", condition=Q(ended_at__isnull=False)),
        ]
        constraints = [
            models.CheckConstraint(name="relay_session_engine", condition=Q(engine__in=[*map(str, EngineKind)])),
            models.CheckConstraint(
                name="relay_session_state",
                condition=Q(state__in=[SessionState.STARTING.value, SessionState.LIVE.value], ended_at__isnull=True)
                | (
                    Q(state__in=[SessionState.ENDED.value, SessionState.FAILED.value], ended_at__isnull=False)
                    & ~Q(end_code="")
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.engine} of {self.source_host or 'a request body'}"
