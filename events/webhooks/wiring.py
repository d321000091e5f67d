"""Builds what sends webhooks from the settings."""

from django.conf import settings

from configuration import EventConfig
from events.webhooks.outbound import OutboundClient, Reach, networks_read
from events.webhooks.sender import WebhookSender


def _config() -> EventConfig:
    config: EventConfig = settings.TRANSCODER.events
    return config


def plain_http_allowed() -> bool:
    """Return True if webhooks may go to addresses without TLS, which only networks of the operator's own allow."""
    return bool(_config().webhook_networks)


def webhook_sender() -> WebhookSender:
    """The sender of a dispatcher process."""
    config = _config()
    client = OutboundClient(Reach(networks_read(config.webhook_networks)), seconds=config.webhook_seconds)
    return WebhookSender(client, threads=config.webhook_threads, seconds=config.webhook_seconds)
