from uuid import uuid4

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Owner(models.Model):
    """Account that videos and jobs belong to. Workers are shared fairly between owners."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    name = models.TextField(unique=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    # `access.limits` reads these: an owner of a cached key does not have them. NULL: the setting; 0: no limit.
    max_stored_bytes = models.PositiveBigIntegerField(null=True)
    max_source_minutes = models.PositiveIntegerField(null=True)
    source_retention_days = models.PositiveIntegerField(null=True)
    output_retention_days = models.PositiveIntegerField(null=True)

    def __str__(self) -> str:
        return self.name


class Member(models.Model):
    """Assignment of a person to the owner that they act for."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="+")
    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="members")

    def __str__(self) -> str:
        return str(self.user)


class ApiKey(models.Model):
    """Credential of a program (see `access.keys`)."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="+", db_index=False)
    name = models.TextField()
    scopes = ArrayField(models.TextField())
    prefix = models.TextField(unique=True)
    sha256 = models.TextField()
    previous_sha256 = models.TextField(blank=True)
    """Digest of the secret before the last rotation."""
    previous_until = models.DateTimeField(null=True)
    """Time until which the previous secret is accepted."""
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "API key"
        indexes = [models.Index(fields=["owner", "-created_at", "-id"], name="access_apikey_newest")]
        constraints = [
            models.CheckConstraint(
                name="access_apikey_previous",
                condition=Q(previous_sha256="", previous_until__isnull=True)
                | (~Q(previous_sha256="") & Q(previous_until__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"


class IdempotentRequest(models.Model):
    """A request with an Idempotency-Key: claimed by a running request, or with its stored response."""

    id = models.BigAutoField(primary_key=True)
    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="+", db_index=False)
    key = models.TextField()
    fingerprint = models.TextField()
    """Digest of the request; another request with the same key is refused."""
    claim = models.UUIDField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True)
    """HTTP status of the response; null while the request runs."""
    body = models.TextField(blank=True)
    location = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now(), db_index=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "key"], name="access_idempotent_once"),
            models.CheckConstraint(
                name="access_idempotent_claimed_or_answered",
                condition=Q(status__isnull=True, claim__isnull=False, lease_expires_at__isnull=False)
                | Q(status__isnull=False, claim__isnull=True, lease_expires_at__isnull=True),
            ),
        ]
