"""Builds what this package reads from the settings. Nothing else here reads them."""

from functools import cache

from django.conf import settings

from configuration import Config
from storage.protocol import ObjectStore
from storage.wiring import store_from


def node_silence_seconds() -> float:
    """Return the age of a node's last heartbeat from which on it counts as silent."""
    config: Config = settings.TRANSCODER
    return config.lease.node_silence_seconds


@cache
def store() -> ObjectStore:
    """Return the object store of this process."""
    config: Config = settings.TRANSCODER
    return store_from(config.storage)
