from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import pytest
import redis as redis_client
from pytest_django.fixtures import Settings

from coordination import wiring
from coordination.cache import ResponseCache
from coordination.server import Server
from embedded.home import Home
from embedded.servers import Redis
from tests.servers import ServersOfThisRun, locked_home

PATIENT_SECONDS = 60.0
"""Timeout that no busy machine exceeds."""


def patient(redis: Redis) -> Server:
    """Connect with a timeout that no busy machine exceeds."""
    return Server(redis.cache_url, timeout_seconds=PATIENT_SECONDS)


@pytest.fixture
def server(redis: Redis) -> Server:
    return patient(redis)


def patient_cache(server: Server, *, wait_seconds: float = PATIENT_SECONDS) -> ResponseCache:
    """Create a cache in which nothing expires because the machine is busy."""
    return ResponseCache(
        server,
        max_ttl_seconds=300,
        wait_seconds=wait_seconds,
        lease_seconds=PATIENT_SECONDS,
        fence_seconds=PATIENT_SECONDS,
    )


@pytest.fixture
def cache(server: Server) -> ResponseCache:
    return patient_cache(server)


class History:
    """Numbers that only grow, in the order in which they were committed."""

    def __init__(self) -> None:
        self._committed: list[tuple[float, int]] = []
        self._lock = threading.Lock()

    def add(self, number: int) -> None:
        """Record a number after its commit."""
        with self._lock:
            self._committed.append((time.monotonic(), max(number, self.by(math.inf))))

    def by(self, instant: float) -> int:
        """Return the number that had been recorded by this time of the monotonic clock."""
        index = bisect_right(self._committed, (instant, sys.maxsize))
        return self._committed[index - 1][1] if index else 0

    def check(self, shown: int, requested_at: float, *, max_age_seconds: float = 0.0) -> None:
        """Refuse a response that is older than this at the time of its request."""
        written = self.by(requested_at - max_age_seconds)
        assert shown >= written, f"was shown {shown} more than {max_age_seconds} s after {written} had been written"


def raw(redis: Redis) -> redis_client.Redis:
    """Connect to Redis directly, for its keys and its own commands."""
    return redis_client.Redis.from_url(redis.cache_url)


def pid(redis: Redis) -> int:
    identity = redis.identity
    assert identity is not None
    return identity.pid


@pytest.fixture(scope="session")
def own_home(servers: ServersOfThisRun) -> Iterator[Home]:
    """Provide a folder for processes that no other test uses."""
    with locked_home(f"{servers.home.folder.name}-outage") as home:
        yield home


@pytest.fixture(scope="session")
def own_redis(own_home: Home) -> Iterator[Redis]:
    """Start a Redis that tests may kill."""
    redis = Redis(own_home)
    try:
        redis.start()
        redis.wait_ready()
        yield redis
    finally:
        redis.close()


def kill(redis: Redis) -> None:
    """Kill Redis with -9 and wait until it is gone."""
    os.kill(pid(redis), signal.SIGKILL)
    while redis.running():
        time.sleep(0.01)


@pytest.fixture
def restarted(own_redis: Redis) -> Callable[[], None]:
    """Kill Redis and start it again with its saved data."""

    def restart() -> None:
        kill(own_redis)
        own_redis.start()
        own_redis.wait_ready()

    return restart


@pytest.fixture
def frozen(redis: Redis) -> Callable[[], AbstractContextManager[None]]:
    """Stop the process of Redis: it keeps every connection and does not reply."""

    @contextmanager
    def freeze() -> Iterator[None]:
        os.kill(pid(redis), signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid(redis), signal.SIGCONT)

    return freeze


def until(done: Callable[[], object], seconds: float = 120) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@contextmanager
def caching_on(redis: Redis, settings: Settings, *, timeout_seconds: float) -> Iterator[ResponseCache]:
    """Use a running Redis for the cache and rate limits of this process."""
    config = settings.TRANSCODER
    cached = replace(config.cache, cache_url=redis.cache_url, enable_cache=True, cache_timeout_seconds=timeout_seconds)
    settings.TRANSCODER = replace(config, cache=cached)
    parts = (wiring.server, wiring.response_cache, wiring.rate_limiter)
    for part in parts:
        part.cache_clear()
    cache = wiring.response_cache()
    assert cache is not None
    yield cache
    for part in parts:
        part.cache_clear()


@pytest.fixture
def caching(redis: Redis, settings: Settings) -> Iterator[ResponseCache]:
    """Use the Redis of the tests for the cache and rate limits of this process."""
    with caching_on(redis, settings, timeout_seconds=PATIENT_SECONDS) as cache:
        yield cache
