"""Documents about webhooks."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from events.models import DeliveryState, EndpointState
from events.types import EVENT_TYPES

ENDPOINT_STATES = [state.value for state in EndpointState]
DELIVERY_STATES = [state.value for state in DeliveryState]


class WebhookDocument(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    url = serializers.CharField()
    description = serializers.CharField()
    types = serializers.ListField(
        child=serializers.ChoiceField(EVENT_TYPES), help_text="Empty: everything but job.progress."
    )
    sha256_signature = serializers.BooleanField(help_text="`X-Webhook-Signature` is sent, too.")
    state = serializers.ChoiceField(ENDPOINT_STATES)
    disabled_reason = serializers.CharField()
    old_secret_expires_at = serializers.DateTimeField(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True, help_text="When something was last accepted.")
    created_at = serializers.DateTimeField()


class WebhookSecretDocument(WebhookDocument):
    """The only answers that show the secret: when it is made."""

    secret = serializers.CharField(help_text="Keep it: it is not shown again.")


class AttemptDocument(serializers.Serializer[Any]):
    created_at = serializers.DateTimeField()
    status = serializers.IntegerField(allow_null=True, help_text="HTTP status, if there was an answer.")
    error = serializers.CharField(help_text="Why there was none.")
    response = serializers.CharField(help_text="How the answer's body begins, if it came from a public address.")
    milliseconds = serializers.IntegerField()


class WebhookTestDocument(serializers.Serializer[Any]):
    """The outcome of a test."""

    accepted = serializers.BooleanField(source="answer.accepted", help_text="The receiver answered with a 2xx status.")
    webhook_id = serializers.CharField(help_text="As in the header of that name.")
    status = serializers.IntegerField(
        source="answer.status", allow_null=True, help_text="HTTP status, if there was an answer."
    )
    error = serializers.CharField(source="answer.error", help_text="Why there was none.")
    response = serializers.CharField(
        source="answer.response", help_text="How the answer's body begins, if it came from a public address."
    )
    milliseconds = serializers.IntegerField(source="answer.milliseconds")


class DeliveryDocument(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    webhook_id = serializers.SerializerMethodField(help_text="As in the header of that name.")
    event_type = serializers.ChoiceField(list(EVENT_TYPES), source="event.type")
    video_id = serializers.UUIDField(source="event.video_id", allow_null=True)
    job_id = serializers.UUIDField(source="event.job_id", allow_null=True)
    state = serializers.ChoiceField(DELIVERY_STATES)
    next_attempt_at = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    attempts = AttemptDocument(source="log", many=True, help_text="Oldest first.")

    def get_webhook_id(self, delivery: Any) -> str:  # noqa: ANN401 - any object with these attributes
        return f"msg_{delivery.event.uid.hex}"

    @staticmethod
    def _waits(delivery: Any) -> bool:  # noqa: ANN401 - any object with these attributes
        return delivery.state in {DeliveryState.PENDING, DeliveryState.SENDING}

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_next_attempt_at(self, delivery: Any) -> Any:  # noqa: ANN401 - any object with these attributes
        return delivery.next_attempt_at.isoformat() if self._waits(delivery) else None
