"""Builds what this package reads from the settings. Nothing else here reads them."""

from django.conf import settings

from configuration import Config


def node_silence_seconds() -> float:
    """Return the age of a node's last heartbeat from which on it counts as silent."""
    config: Config = settings.TRANSCODER
    return config.lease.node_silence_seconds
