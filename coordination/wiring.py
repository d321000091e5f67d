"""Redis of this process and what uses it, built from the settings; cache invalidation in transactions."""

import os
from functools import cache, partial

from django.conf import settings
from django.db import transaction

from configuration import Config
from coordination.cache import ResponseCache
from coordination.live_parts import LiveFeed, LiveParts
from coordination.locks import Locks
from coordination.rates import RateLimiter
from coordination.server import Server
from coordination.viewers import Viewers


@cache
def server() -> Server | None:
    """Return the Redis of this process for cache, locks and rate limits; None if none is configured."""
    config: Config = settings.TRANSCODER
    url = config.cache.cache_url
    return Server(url, timeout_seconds=config.cache.cache_timeout_seconds) if url else None


@cache
def response_cache() -> ResponseCache | None:
    """Return the response cache of this process; None if it is switched off."""
    config: Config = settings.TRANSCODER
    redis = server()
    if redis is None or not config.cache.enable_cache:
        return None
    return ResponseCache(redis, max_ttl_seconds=config.cache.cache_ttl_seconds)


@cache
def rate_limiter() -> RateLimiter:
    return RateLimiter(server())


@cache
def locks() -> Locks:
    """Return the locks of this process. Without a Redis they are open."""
    return Locks(server())


@cache
def live_parts() -> LiveParts:
    return LiveParts(server())


@cache
def live_feed() -> LiveFeed:
    """Return what reads live parts, for the event loop of this process."""
    config: Config = settings.TRANSCODER
    return LiveFeed(config.cache.cache_url, timeout_seconds=config.cache.cache_timeout_seconds)


@cache
def viewers() -> Viewers:
    return Viewers(server())


_PER_PROCESS = (server, response_cache, rate_limiter, locks, live_parts, live_feed, viewers)


def _reset_after_fork() -> None:
    """Let a forked child create its own: it must not read its parent's replies, nor wait for its parent's locks."""
    for each in _PER_PROCESS:
        each.cache_clear()


os.register_at_fork(after_in_child=_reset_after_fork)


def invalidate(*documents: str) -> None:
    """Invalidate cached documents (`kind:name`). Call it in the transaction that changes them."""
    if (cache := response_cache()) and (fence := cache.fence(*documents)):
        transaction.on_commit(partial(cache.unfence, fence, *documents))
