"""Request to move the times at which parts of a video are deleted."""

from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from api.fields import StrictSerializer

MAX_RETENTION_DAYS = 36_500
RETENTION_EXAMPLE = OpenApiExample(
    "keep the outputs for ever",
    request_only=True,
    value={"source_expires_at": "2999-03-02T12:00:00Z", "expires_at": None},
)


class RetentionRequest(StrictSerializer):
    """Times at which parts of a video are deleted."""

    source_expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="When the source is deleted. Null: never."
    )
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="When the outputs are deleted. Null: never."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name, moment in attrs.items():
            if moment is not None and moment <= datetime.now(UTC):
                raise serializers.ValidationError({name: "must be in the future; use DELETE instead"})
        if not attrs:
            raise serializers.ValidationError("name source_expires_at, expires_at or both")
        return attrs
