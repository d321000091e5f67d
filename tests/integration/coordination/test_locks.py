"""Locks on a real Redis: one owner, released by it only, and open if Redis does not answer."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from uuid import uuid4

import pytest

from coordination.locks import Locks
from coordination.server import Server
from embedded.servers import Redis
from tests.integration.coordination.conftest import kill, patient, raw

Freeze = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def name() -> str:
    return uuid4().hex


@pytest.fixture
def locks(server: Server) -> Locks:
    """Nothing expires because the machine is busy."""
    return Locks(server, expiry_seconds=60)


def test_a_lock_has_one_owner_at_a_time(redis: Redis, locks: Locks, name: str) -> None:
    other = Locks(patient(redis))
    with locks.held(name) as mine:
        assert mine
        with other.held(name) as held:
            assert not held
        with other.held("another") as held:
            assert held
    with other.held(name) as held:
        assert held
    assert not raw(redis).exists(f"lock:{name}"), "nothing is left behind"


def test_a_waiting_caller_gets_it_next_and_is_called_meanwhile(locks: Locks, name: str) -> None:
    waited, released = threading.Event(), threading.Event()

    def wait() -> bool:
        with locks.held(name, wait_seconds=60, on_wait=waited.set) as held:
            return held and released.is_set()

    with ThreadPoolExecutor(1) as pool:
        with locks.held(name):
            second = pool.submit(wait)
            assert waited.wait(60)
            released.set()
        assert second.result()


def test_a_wait_has_an_end(locks: Locks, name: str) -> None:
    with locks.held(name), locks.held(name, wait_seconds=0.2) as held:
        assert not held


def test_of_a_crowd_one_works_at_a_time(redis: Redis, name: str) -> None:
    crowd = [Locks(patient(redis), expiry_seconds=60) for _ in range(8)]
    inside: list[int] = []
    counts: list[int] = []

    def work(locks: Locks) -> None:
        with locks.held(name, wait_seconds=60) as held:
            assert held
            inside.append(1)
            counts.append(len(inside))
            time.sleep(0.02)
            inside.pop()

    with ThreadPoolExecutor(len(crowd)) as pool:
        list(pool.map(work, crowd))
    assert counts == [1] * len(crowd)


def test_only_its_owner_releases_it(redis: Redis, locks: Locks, name: str) -> None:
    with locks.held(name):
        raw(redis).set(f"lock:{name}", "another owner's")  # as after an expiry
    assert raw(redis).get(f"lock:{name}") == b"another owner's"


def test_an_error_at_work_releases_it_too(locks: Locks, name: str) -> None:
    with pytest.raises(LookupError), locks.held(name):
        raise LookupError
    with locks.held(name) as held:
        assert held


def test_it_is_extended_while_it_is_held(redis: Redis, server: Server, name: str) -> None:
    with Locks(server, expiry_seconds=6).held(name):
        least = raw(redis).pttl(f"lock:{name}")
        until = time.monotonic() + 60
        while (left := raw(redis).pttl(f"lock:{name}")) <= least:
            assert left > 0, "it expired while it was held"
            assert time.monotonic() < until
            least = left
            time.sleep(0.02)


def test_what_a_killed_owner_held_expires(redis: Redis, server: Server, name: str) -> None:
    if not (child := os.fork()):
        Locks(Server(redis.cache_url, timeout_seconds=60), expiry_seconds=0.5).held(name).__enter__()
        os._exit(0)
    os.waitpid(child, 0)
    with Locks(server).held(name, wait_seconds=60) as held:
        assert held


def test_without_a_redis_every_lock_is_open(name: str) -> None:
    locks = Locks(None)
    with locks.held(name) as one, locks.held(name) as other:
        assert one
        assert other


def test_a_hanging_redis_delays_a_lock_by_its_timeout_only(redis: Redis, frozen: Freeze, name: str) -> None:
    stopped = 0.0
    locks = Locks(Server(redis.cache_url, timeout_seconds=0.5, clock=lambda: stopped))
    with frozen():
        started = time.monotonic()
        for _ in range(20):
            with locks.held(name, wait_seconds=60) as held:
                assert held
        assert time.monotonic() - started < 20 * 0.5 / 2, "only the first one waits for Redis"


def test_a_hanging_redis_delays_a_release_by_its_timeout_only(redis: Redis, frozen: Freeze, name: str) -> None:
    with ExitStack() as thaw:
        with Locks(Server(redis.cache_url, timeout_seconds=0.5)).held(name) as held:
            assert held
            thaw.enter_context(frozen())
            started = time.monotonic()
        assert time.monotonic() - started < 30, "to release it costs a timeout"


def test_with_a_dead_redis_every_lock_is_open(own_redis: Redis, name: str) -> None:
    locks = Locks(patient(own_redis))
    with locks.held(name) as held:
        assert held
        kill(own_redis)
    try:
        with locks.held(name) as one, locks.held(name) as other:
            assert one
            assert other
    finally:
        own_redis.start()
        own_redis.wait_ready()
