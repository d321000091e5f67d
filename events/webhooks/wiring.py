"""Builds what sends webhooks from the settings."""

from functools import cache

from django.conf import settings

from configuration import EventConfig
from events.log import EventDocuments
from events.webhooks.lookups import Lookups
from events.webhooks.outbound import OutboundClient, Reach, networks_read
from events.webhooks.sender import WebhookSender


def _config() -> EventConfig:
    config: EventConfig = settings.TRANSCODER.events
    return config


def plain_http_allowed() -> bool:
    """Return True if webhooks may go to addresses without TLS, which only networks of the operator's own allow."""
    return bool(_config().webhook_networks)


def reach() -> Reach:
    """Networks that webhooks may go to."""
    return Reach(networks_read(_config().webhook_networks), _lookups())


def outbound_client() -> OutboundClient:
    """The client that posts webhooks."""
    return OutboundClient(reach(), seconds=_config().webhook_seconds)


def webhook_sender(documents: EventDocuments) -> WebhookSender:
    """The sender of a dispatcher process."""
    config = _config()
    return WebhookSender(outbound_client(), documents, threads=config.webhook_threads, seconds=config.webhook_seconds)


@cache
def _lookups() -> Lookups:
    """One for the process: it bounds how many lookups run at a time."""
    return Lookups()
