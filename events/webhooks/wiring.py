"""Builds what sends webhooks from the settings."""

from django.conf import settings

from configuration import EventConfig
from events.log import EventDocuments
from events.webhooks.sender import WebhookSender
from outbound.addresses import Reach, reach_into
from outbound.posting import OutboundClient


def _config() -> EventConfig:
    config: EventConfig = settings.TRANSCODER.events
    return config


def reach() -> Reach:
    """Networks that webhooks may go to."""
    return reach_into(_config().webhook_networks)


def outbound_client() -> OutboundClient:
    """The client that posts webhooks."""
    return OutboundClient(reach(), seconds=_config().webhook_seconds)


def webhook_sender(documents: EventDocuments) -> WebhookSender:
    """The sender of a dispatcher process."""
    config = _config()
    return WebhookSender(outbound_client(), documents, threads=config.webhook_threads, seconds=config.webhook_seconds)
