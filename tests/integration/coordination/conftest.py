from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import pytest
from pytest_django.fixtures import Settings

from coordination import wiring
from coordination.cache import AnswerCache
from coordination.server import Server
from embedded.servers import Redis

PATIENT_SECONDS = 5.0


def patient(redis: Redis) -> Server:
    """Not to be taken for away because the machine is busy."""
    return Server(redis.cache_url, timeout_seconds=PATIENT_SECONDS)


@pytest.fixture
def server(redis: Redis) -> Server:
    return patient(redis)


@pytest.fixture
def cache(server: Server) -> AnswerCache:
    cache = AnswerCache(server, seconds=300)
    cache.keep_epoch()
    return cache


def _pid(redis: Redis) -> int:
    identity = redis.identity
    assert identity is not None
    return identity.pid


@pytest.fixture
def frozen(redis: Redis) -> Callable[[], AbstractContextManager[None]]:
    """Redis holds every connection and says nothing, for as long as this lasts."""

    @contextmanager
    def freeze() -> Iterator[None]:
        os.kill(_pid(redis), signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(_pid(redis), signal.SIGCONT)

    return freeze


@pytest.fixture
def caching(redis: Redis, settings: Settings) -> Iterator[AnswerCache]:
    """The site with its cache and rates on the running Redis."""
    config = settings.TRANSCODER
    kept = replace(config.cache, enablecache=True, cache_timeout_seconds=PATIENT_SECONDS)
    settings.TRANSCODER = replace(config, cache=kept)
    parts = (wiring.server, wiring.answer_cache, wiring.rate_limiter)
    for part in parts:
        part.cache_clear()
    cache = wiring.answer_cache()
    assert cache is not None
    cache.keep_epoch()
    yield cache
    for part in parts:
        part.cache_clear()
