"""Requests and documents of API keys."""

from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

from access.models import ApiKey
from access.scopes import SCOPES
from access.services import DEFAULT_GRACE_SECONDS
from api.fields import Choice, StrictInteger, StrictSerializer

_MAX_NAME_LENGTH = 200
_MAX_GRACE_SECONDS = 30 * 24 * 3600


class KeyRequest(StrictSerializer):
    """Request for a new key."""

    name = serializers.CharField(min_length=1, max_length=_MAX_NAME_LENGTH, help_text="Purpose of the key.")
    scopes = serializers.ListField(child=Choice(choices=SCOPES), min_length=1, max_length=len(SCOPES))
    expires_at = serializers.DateTimeField(
        required=False, help_text="Time from which on it is refused; never by default."
    )

    def validate_expires_at(self, expires_at: datetime) -> datetime:
        if expires_at <= datetime.now(UTC):
            raise serializers.ValidationError("must be in the future")
        return expires_at


class RotateRequest(StrictSerializer):
    """Request for a new secret."""

    grace_seconds = StrictInteger(
        min_value=0,
        max_value=_MAX_GRACE_SECONDS,
        default=DEFAULT_GRACE_SECONDS,
        help_text="Time for which the previous secret is still accepted. A day by default.",
    )


class ServiceDocument(serializers.Serializer[Any]):
    name = serializers.CharField()
    version = serializers.CharField()
    owner = serializers.CharField(help_text="Name of the owner that the key belongs to.")
    scopes = serializers.ListField(child=serializers.ChoiceField(SCOPES))
    schema_url = serializers.URLField(help_text="URL of the OpenAPI document.")


class KeyDocument(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    prefix = serializers.CharField(help_text="The public part of the key: `vm_PREFIX_…`.")
    scopes = serializers.ListField(child=serializers.ChoiceField(SCOPES))
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="Precise to the minute.")
    previous_until = serializers.DateTimeField(
        allow_null=True, help_text="Time until which the secret before the last rotation is accepted."
    )


class NewKeyDocument(KeyDocument):
    key = serializers.CharField(
        allow_null=True,
        help_text="The key itself. Shown once: it is not stored, so the response to a repeated request has null here.",
    )


def new_key_document(key: ApiKey, text: str) -> dict[str, Any]:
    """Build the only document that shows the text of a key."""
    return {**KeyDocument(key).data, "key": text}


def without_key(document: dict[str, Any]) -> dict[str, Any]:
    """Remove the secret from the document that is stored for repeated requests."""
    return {**document, "key": None}
