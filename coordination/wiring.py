"""The only place of this package that reads settings, and where transactions and the cache meet."""

import os
from functools import cache, partial

from django.conf import settings
from django.db import transaction

from configuration import Config
from coordination.cache import AnswerCache
from coordination.locks import Locks
from coordination.rates import RateLimiter
from coordination.server import Server


@cache
def server() -> Server | None:
    """The Redis of this process for caches and rates; None where there is to be none."""
    config: Config = settings.TRANSCODER
    url = config.cache.cache_url
    return Server(url, timeout_seconds=config.cache.cache_timeout_seconds) if url else None


@cache
def answer_cache() -> AnswerCache | None:
    """The cache of this process; None where there is to be none."""
    config: Config = settings.TRANSCODER
    redis = server()
    return AnswerCache(redis, seconds=config.cache.cache_ttl_seconds) if redis and config.cache.enable_cache else None


@cache
def rate_limiter() -> RateLimiter:
    return RateLimiter(server())


@cache
def locks() -> Locks:
    """The locks of this process; open where there is no Redis."""
    return Locks(server())


_MADE = (server, answer_cache, rate_limiter, locks)


def _forget() -> None:
    """Have a forked child make its own: it must not read answers meant for its parent, nor wait for its parent's locks.

    What the parent still has to make good stays with the parent.
    """
    for made in _MADE:
        made.cache_clear()


os.register_at_fork(after_in_child=_forget)


def changed(*things: str) -> None:
    """Say inside a transaction that what is shown of these things (`kind:name`) changes with it."""
    if cache := answer_cache():
        fenced = cache.fence(*things)
        transaction.on_commit(partial(cache.clear, *things, fenced=fenced))
