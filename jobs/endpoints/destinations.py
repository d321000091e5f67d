"""The bucket that the outputs of a job are delivered to: in requests, in documents, and to try again."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from access.callers import Caller
from api.fields import StrictSerializer
from jobs.rules.delivery import DeliveryState
from jobs.wiring import buckets
from storage.errors import InvalidKey
from storage.keys import check_key

_MAX_PREFIX = 500
_LONGEST_NAME = "thumbnails/thumbnail-999.jpg"


class DestinationRequest(StrictSerializer):
    """A folder in a bucket that the operator allows."""

    bucket = serializers.CharField(max_length=63, help_text="Its alias.")
    prefix = serializers.CharField(
        max_length=_MAX_PREFIX,
        trim_whitespace=False,
        help_text="The folder, such as `films/summer`. What is there under the same names is replaced.",
    )

    def validate_prefix(self, value: str) -> str:
        """Refuse what is no clean key: an empty name, `.`, `..`, a slash at the beginning."""
        prefix = value.removesuffix("/")
        try:
            check_key(f"{prefix}/{_LONGEST_NAME}")
        except InvalidKey:
            raise serializers.ValidationError("must be names with slashes between them") from None
        return prefix


def destination_check(destination: Mapping[str, str] | None, caller: Caller) -> None:
    """Raise ValidationError for a bucket that the caller's owner may not write to."""
    if destination is None:
        return
    alias, owner = destination["bucket"], caller.owner
    if buckets().writable(alias, owner.name, str(owner.id)) is None:
        refusal = f"there is no bucket {alias!r} that outputs of yours may be delivered to"
        raise serializers.ValidationError({"destination": {"bucket": [refusal]}})


class JobDeliveryError(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField()


class JobDelivery(serializers.Serializer[Any]):
    bucket = serializers.CharField()
    prefix = serializers.CharField()
    state = serializers.ChoiceField(
        [state.value for state in DeliveryState],
        help_text="pending: the job is not complete, or no worker has started it. failed: `error` says why; it may be"
        " requested again. Nothing of this changes the state of the job.",
    )
    files = serializers.IntegerField(allow_null=True, help_text="Of all of it, once they are counted.")
    files_done = serializers.IntegerField()
    bytes_done = serializers.IntegerField()
    error = JobDeliveryError(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True)
