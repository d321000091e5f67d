"""What clients send and get to see of keys."""

from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

from access.models import ApiKey
from access.scopes import SCOPES
from access.services import DEFAULT_GRACE_SECONDS
from api.fields import OneOf, StrictSerializer, WholeNumber

_LONGEST_NAME = 200
_LONGEST_GRACE_SECONDS = 30 * 24 * 3600


class KeyRequest(StrictSerializer):
    """What a new key is for, and what it may do."""

    name = serializers.CharField(min_length=1, max_length=_LONGEST_NAME, help_text="What the key is for.")
    scopes = serializers.ListField(child=OneOf(choices=SCOPES), min_length=1, max_length=len(SCOPES))
    expires_at = serializers.DateTimeField(required=False, help_text="When it stops working; never by default.")

    def validate_expires_at(self, expires_at: datetime) -> datetime:
        if expires_at <= datetime.now(UTC):
            raise serializers.ValidationError("must be in the future")
        return expires_at


class RotateRequest(StrictSerializer):
    """How a key gets a new secret."""

    grace_seconds = WholeNumber(
        min_value=0,
        max_value=_LONGEST_GRACE_SECONDS,
        default=DEFAULT_GRACE_SECONDS,
        help_text="How long the secret before goes on working. A day by default.",
    )


class KeyDocument(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    prefix = serializers.CharField(help_text="The part of the key that is no secret: `vm_PREFIX_…`.")
    scopes = serializers.ListField(child=serializers.ChoiceField(SCOPES))
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="To the minute.")
    previous_until = serializers.DateTimeField(
        allow_null=True, help_text="Until when the secret before the last rotation works, or worked."
    )


class NewKeyDocument(KeyDocument):
    key = serializers.CharField(
        allow_null=True,
        help_text="The key itself. Shown once: it is not kept, so the answer to a repeated request has null here.",
    )


def new_key_document(key: ApiKey, text: str) -> dict[str, Any]:
    """Show a key with its text, this once."""
    return {**KeyDocument(key).data, "key": text}


def without_key(document: dict[str, Any]) -> dict[str, Any]:
    """What of it may be kept to answer a repeated request: a secret may not."""
    return {**document, "key": None}
