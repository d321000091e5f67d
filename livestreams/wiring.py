"""The settings of live streams, for all modules of the package."""

from functools import cache

from django.conf import settings

from configuration import Config, LivestreamConfig
from outbound.addresses import Reach, reach_into


def livestream_config() -> LivestreamConfig:
    """Return the settings of live streams and their ingest servers."""
    config: Config = settings.TRANSCODER
    return config.livestreams


@cache
def push_reach() -> Reach:
    """Return where broadcasts may be sent on to. Many servers have no RTMPS: keys go there for everybody to read."""
    config: Config = settings.TRANSCODER
    return reach_into(config.live.source_networks, plain=True)


def event_days() -> int:
    """Return the days after which events are forgotten, and refusals with them."""
    config: Config = settings.TRANSCODER
    return config.events.event_days


def database_pool_size() -> int:
    """Return the connections to the database that one process of ours may have."""
    config: Config = settings.TRANSCODER
    return config.database.database_pool_size
