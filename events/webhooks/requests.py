"""Requests about webhooks, field by field."""

from urllib.parse import urlsplit

from rest_framework import serializers

from api.database import release_connection
from api.fields import Choice, StrictBoolean, StrictSerializer
from api.pagination import ListQuery
from events.models import DeliveryState, EndpointState
from events.types import EVENT_TYPES
from events.webhooks.wiring import plain_http_allowed, reach

MAX_URL_LENGTH = 2000
MAX_DESCRIPTION_LENGTH = 200
_LOOKUP_SECONDS = 5.0
"""A name server that takes longer is left for when something is sent."""


class WebhookUrlField(serializers.CharField):
    """An absolute HTTPS address without credentials. `host_check` says whether its host may be reached."""

    def to_internal_value(self, data: str) -> str:
        text = super().to_internal_value(data)
        try:
            url = urlsplit(text)
            port_given = url.port is None or url.port > 0
        except ValueError:
            raise serializers.ValidationError("must be an absolute address") from None
        if url.scheme not in _schemes() or not url.hostname or not port_given or not text.isascii():
            raise serializers.ValidationError(
                f"must be an absolute address that begins with {' or '.join(_schemes())}://"
            )
        if url.username or url.password or any(ord(character) <= ord(" ") for character in text):
            raise serializers.ValidationError("must not contain credentials or white space")
        return text


def host_check(url: str) -> None:
    """Raise ValidationError unless the host of an address exists and may be reached. No transaction may be open.

    It is looked up again whenever something is sent. Hosts that do not exist and hosts of inner networks are refused in
    the same words: strangers must not learn the names of our network.
    """
    release_connection()  # a name server may take its time, and connections are few
    if reach().refuses(url, seconds=_LOOKUP_SECONDS):
        raise serializers.ValidationError({"url": "its host does not exist, or is not on the public internet"})


def _schemes() -> tuple[str, ...]:
    """Plain HTTP is for receivers in networks that the operator named; elsewhere anybody could read along."""
    return ("https", "http") if plain_http_allowed() else ("https",)


class WebhookRequest(StrictSerializer):
    """A new endpoint: its URL and the events it receives."""

    url = WebhookUrlField(max_length=MAX_URL_LENGTH)
    types = serializers.ListField(
        child=Choice(choices=list(EVENT_TYPES)),
        required=False,
        max_length=len(EVENT_TYPES),
        help_text="Empty: everything but job.progress.",
    )
    description = serializers.CharField(required=False, allow_blank=True, max_length=MAX_DESCRIPTION_LENGTH)
    sha256_signature = StrictBoolean(
        required=False,
        help_text="Also send `X-Webhook-Signature: sha256=…`, the HMAC-SHA256 of the body in hexadecimal with the "
        "whole text of the secret as its key, for receivers that expect it.",
    )


class WebhookChange(WebhookRequest):
    """A change to an endpoint; fields left out stay as they are."""

    state = Choice(
        choices=[state.value for state in EndpointState],
        required=False,
        help_text="Enabled again, it gets what it has missed.",
    )


class DeliveryQuery(ListQuery):
    """Filters of the list of deliveries."""

    state = Choice(
        choices=[state.value for state in DeliveryState], required=False, help_text="Only the deliveries in this state."
    )
