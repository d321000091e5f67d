from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import pytest
import redis as redis_client
from pytest_django.fixtures import Settings

from coordination import wiring
from coordination.cache import AnswerCache
from coordination.server import Server
from embedded.home import Home
from embedded.servers import Redis
from tests.servers import RUNS, ServersOfThisRun

PATIENT_SECONDS = 60.0
"""Longer than a busy machine takes for anything that is measured by it."""


def patient(redis: Redis) -> Server:
    """Not to be taken for away because the machine is busy."""
    return Server(redis.cache_url, timeout_seconds=PATIENT_SECONDS)


@pytest.fixture
def server(redis: Redis) -> Server:
    return patient(redis)


def patient_cache(server: Server, *, wait_seconds: float = PATIENT_SECONDS) -> AnswerCache:
    """A cache in which nothing ends because the machine is busy."""
    cache = AnswerCache(
        server,
        seconds=300,
        wait_seconds=wait_seconds,
        lease_seconds=PATIENT_SECONDS,
        epoch_seconds=PATIENT_SECONDS,
    )
    cache.keep_epoch()
    return cache


@pytest.fixture
def cache(server: Server) -> AnswerCache:
    return patient_cache(server)


def raw(redis: Redis) -> redis_client.Redis:
    """What Redis really holds, and its own commands."""
    return redis_client.Redis.from_url(redis.cache_url)


def pid(redis: Redis) -> int:
    identity = redis.identity
    assert identity is not None
    return identity.pid


@pytest.fixture(scope="session")
def own_home(servers: ServersOfThisRun) -> Iterator[Home]:
    """A place for processes that no other test needs."""
    home = Home(RUNS / f"{servers.home.folder.name}-outage")
    with home.locked():
        yield home


@pytest.fixture(scope="session")
def own_redis(own_home: Home) -> Iterator[Redis]:
    """A Redis to be killed."""
    redis = Redis(own_home)
    try:
        redis.start()
        redis.wait_ready()
        yield redis
    finally:
        redis.close()


def kill(redis: Redis) -> None:
    """kill -9, and wait until it is gone."""
    os.kill(pid(redis), signal.SIGKILL)
    while redis.running():
        time.sleep(0.01)


@pytest.fixture
def restarted(own_redis: Redis) -> Callable[[], None]:
    """Kill it and start it again, with what it saved."""

    def restart() -> None:
        kill(own_redis)
        own_redis.start()
        own_redis.wait_ready()

    return restart


@pytest.fixture
def frozen(redis: Redis) -> Callable[[], AbstractContextManager[None]]:
    """Redis holds every connection and says nothing, for as long as this lasts."""

    @contextmanager
    def freeze() -> Iterator[None]:
        os.kill(pid(redis), signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid(redis), signal.SIGCONT)

    return freeze


@contextmanager
def caching_on(redis: Redis, settings: Settings, *, timeout_seconds: float) -> Iterator[AnswerCache]:
    """This process with its cache and rates on a running Redis."""
    config = settings.TRANSCODER
    kept = replace(config.cache, cache_url=redis.cache_url, enable_cache=True, cache_timeout_seconds=timeout_seconds)
    settings.TRANSCODER = replace(config, cache=kept)
    parts = (wiring.server, wiring.answer_cache, wiring.rate_limiter)
    for part in parts:
        part.cache_clear()
    cache = wiring.answer_cache()
    assert cache is not None
    yield cache
    for part in parts:
        part.cache_clear()


@pytest.fixture
def caching(redis: Redis, settings: Settings) -> Iterator[AnswerCache]:
    """The site with its cache and rates on the running Redis."""
    with caching_on(redis, settings, timeout_seconds=PATIENT_SECONDS) as cache:
        cache.keep_epoch()
        yield cache
