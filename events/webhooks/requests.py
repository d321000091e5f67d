"""Requests about webhooks, field by field."""

from rest_framework import serializers

from api.fields import Choice, StrictBoolean, StrictSerializer
from api.outbound_urls import OutboundUrl
from api.pagination import ListQuery
from events.models import DeliveryState, EndpointState
from events.types import EVENT_TYPES
from events.webhooks.wiring import reach

MAX_URL_LENGTH = 2000
MAX_DESCRIPTION_LENGTH = 200


class WebhookRequest(StrictSerializer):
    """A new endpoint: its URL and the events it receives."""

    url = OutboundUrl(reach=reach, max_length=MAX_URL_LENGTH)
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
