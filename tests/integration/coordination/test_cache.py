"""The response cache on a real Redis: no stale response, and one rendering per response."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from multiprocessing.synchronize import Barrier
from operator import gt
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction

from coordination.cache import FENCE_SECONDS, ResponseCache
from coordination.server import RedisUnavailable, Server
from embedded.servers import Redis
from tests.integration.coordination.conftest import History, kill, patient, patient_cache, raw, until

Rendering = tuple[bytes, float]
Freeze = Callable[[], AbstractContextManager[None]]


CAP_SECONDS = 1.0
"""Maximum TTL in tests of it."""
CLOCK_SECONDS = 0.02
"""Precision of Redis's expiry and difference of two clocks."""


@pytest.fixture
def name() -> str:
    return uuid4().hex


def _never() -> Rendering:
    raise AssertionError("was not cached")


def _get(cache: ResponseCache, name: str, body: bytes, seconds: float = 60) -> bytes:
    return cache.get("thing", name, "v", lambda: (body, seconds))


def test_a_response_is_cached_for_its_variant(cache: ResponseCache, name: str) -> None:
    assert _get(cache, name, b"one") == b"one"
    assert cache.get("thing", name, "v", _never) == b"one"
    assert cache.get("thing", name, "other", lambda: (b"two", 60)) == b"two"
    assert cache.get("other", name, "v", lambda: (b"three", 60)) == b"three"


def test_a_response_is_cached_for_its_time_to_live(cache: ResponseCache, name: str) -> None:
    _get(cache, name, b"old", seconds=0.05)
    until(lambda: _get(cache, name, b"new") == b"new")


def test_a_response_without_time_to_live_is_not_cached(cache: ResponseCache, name: str) -> None:
    _get(cache, name, b"old", seconds=0)
    assert _get(cache, name, b"new") == b"new"


def test_a_failed_rendering_delays_nobody(cache: ResponseCache, name: str) -> None:
    def fail() -> Rendering:
        raise LookupError

    for _ in range(3):
        with pytest.raises(LookupError):
            cache.get("thing", name, "v", fail)
    assert _get(cache, name, b"next") == b"next"
    assert cache.get("thing", name, "v", _never) == b"next", "the lease was released"


def test_a_crowd_of_readers_renders_once(cache: ResponseCache, name: str) -> None:
    rendered: list[int] = []
    start = threading.Barrier(20)

    def render() -> Rendering:
        rendered.append(1)
        time.sleep(0.05)
        return (b"body", 60)

    def read() -> bytes:
        start.wait()
        return cache.get("thing", name, "v", render)

    with ThreadPoolExecutor(20) as pool:
        bodies = [future.result() for future in [pool.submit(read) for _ in range(20)]]
    assert set(bodies) == {b"body"}
    assert len(rendered) == 1


def test_a_crowd_of_readers_in_several_processes_renders_once(redis: Redis, name: str) -> None:
    forks = multiprocessing.get_context("fork")
    start = forks.Barrier(4)
    crowd = [forks.Process(target=_crowd, args=(redis, name, start)) for _ in range(4)]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join()
    assert [process.exitcode for process in crowd] == [0] * 4
    assert raw(redis).get(f"rendered:{name}") == b"1"


def _crowd(redis: Redis, name: str, start: Barrier) -> None:
    cache = patient_cache(patient(redis))

    def render() -> Rendering:
        raw(redis).incr(f"rendered:{name}")
        time.sleep(0.5)  # longer than one poll
        return (b"body", 60)

    start.wait(60)
    with ThreadPoolExecutor(5) as pool:
        bodies = list(pool.map(lambda _: cache.get("thing", name, "v", render), range(5)))
    assert bodies == [b"body"] * 5


def test_a_failed_rendering_releases_its_own_lease_only(cache: ResponseCache, name: str, redis: Redis) -> None:
    def overtaken() -> Rendering:
        raw(redis).hset(f"cache:thing:{name}", "#lease:v", "1 another owner's")
        raise LookupError

    with pytest.raises(LookupError):
        cache.get("thing", name, "v", overtaken)
    assert raw(redis).hget(f"cache:thing:{name}", "#lease:v") == b"1 another owner's"


def test_a_cache_hit_costs_one_round_trip(redis: Redis, name: str) -> None:
    server = _Counting(redis.cache_url, timeout_seconds=60)
    cache = patient_cache(server)
    _get(cache, name, b"cached")
    server.calls = 0
    for _ in range(10):
        assert cache.get("thing", name, "v", _never) == b"cached"
    assert server.calls == 10


class _Counting(Server):
    calls = 0

    def call(self, command: Callable[[], object]) -> Any:  # noqa: ANN401 - as the server's own
        self.calls += 1
        return super().call(command)


def test_a_crowd_does_not_wait_for_a_slow_rendering(server: Server, name: str) -> None:
    cache = patient_cache(server, wait_seconds=0.05)
    started, proceed = threading.Event(), threading.Event()

    def slow() -> Rendering:
        started.set()
        proceed.wait(60)
        return (b"slow", 60)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(cache.get, "thing", name, "v", slow)
        assert started.wait(60)
        assert _get(cache, name, b"own") == b"own"
        proceed.set()
        assert first.result() == b"slow"
    assert cache.get("thing", name, "v", _never) == b"slow", "a reader without the lease stored nothing"


def test_a_response_rendered_before_a_change_is_not_cached_after_it(cache: ResponseCache, name: str) -> None:
    def overtaken() -> Rendering:
        _change(cache, name)
        return (b"old", 60)

    assert cache.get("thing", name, "v", overtaken) == b"old"
    assert _get(cache, name, b"new") == b"new"


def test_a_lease_that_expired_is_lost_to_the_next_reader(server: Server, name: str) -> None:
    cache = ResponseCache(server, max_ttl_seconds=300, wait_seconds=60, lease_seconds=0.05)

    def slow() -> Rendering:
        until(lambda: _get(cache, name, b"next") == b"next")
        return b"slow", 60

    assert cache.get("thing", name, "v", slow) == b"slow"
    assert cache.get("thing", name, "v", _never) == b"next"


def test_nothing_is_cached_behind_a_fence(cache: ResponseCache, name: str) -> None:
    _get(cache, name, b"old")
    one, other = _fence(cache, name), _fence(cache, name)
    for body in (b"one", b"two"):
        assert _get(cache, name, body) == body
    cache.unfence(one, f"thing:{name}")
    for body in (b"three", b"four"):
        assert _get(cache, name, body) == body, "the other one stands"
    cache.unfence(other, f"thing:{name}")
    assert _get(cache, name, b"new") == b"new"
    assert cache.get("thing", name, "v", _never) == b"new"


def test_the_fence_of_a_writer_that_died_expires_beside_steady_writes(server: Server, name: str) -> None:
    cache = ResponseCache(server, max_ttl_seconds=300, fence_seconds=0.2)
    _fence(cache, name)

    def cached() -> bool:
        _change(cache, name)
        _get(cache, name, b"first")
        return _get(cache, name, b"second") == b"first"

    until(cached)


def test_a_change_deletes_what_was_cached_after_its_fence_expired(server: Server, name: str) -> None:
    cache = ResponseCache(server, max_ttl_seconds=300, fence_seconds=0.05)
    fence = _fence(cache, name)
    until(lambda: [_get(cache, name, b"old"), _get(cache, name, b"other")] == [b"old"] * 2)
    cache.unfence(fence, f"thing:{name}")
    assert _get(cache, name, b"new") == b"new"


@pytest.mark.parametrize(("max_ttl_seconds", "ttl_seconds"), [(300, CAP_SECONDS), (CAP_SECONDS, 300)])
def test_the_age_of_a_response_counts_from_before_it_was_rendered(
    server: Server, name: str, max_ttl_seconds: float, ttl_seconds: float
) -> None:
    cache = ResponseCache(server, max_ttl_seconds=max_ttl_seconds)
    rendered_at = 0.0

    def slow() -> Rendering:
        nonlocal rendered_at
        rendered_at = time.monotonic()
        time.sleep(CAP_SECONDS / 2)
        return b"old", ttl_seconds

    cache.get("thing", name, "v", slow)
    requested_at = time.monotonic()
    while _get(cache, name, b"new") == b"old":
        assert requested_at < rendered_at + CAP_SECONDS + CLOCK_SECONDS
        requested_at = time.monotonic()


def test_a_redis_that_hangs_delays_a_writer_once(redis: Redis, frozen: Freeze, name: str) -> None:
    cache = ResponseCache(Server(redis.cache_url, timeout_seconds=0.5, clock=lambda: 0.0), max_ttl_seconds=300)
    with frozen():
        started = time.monotonic()
        for _ in range(20):
            assert cache.fence(f"thing:{name}") is None
        assert time.monotonic() - started < 20 * 0.5 / 2, "only the first one waits for Redis"


@pytest.fixture
def written(transactional_db: None) -> Iterator[None]:
    """Create a table with a number that only grows."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE written (n int)")
        cursor.execute("INSERT INTO written VALUES (0)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE written")


def test_no_reader_sees_less_than_was_written_before_its_request(redis: Redis, written: None) -> None:
    with _Load(redis, timeout_seconds=60).running() as load:
        load.continues(hits=100)


def test_a_response_is_never_older_than_its_limit_while_redis_freezes(
    redis: Redis, frozen: Freeze, written: None
) -> None:
    with _Load(redis, timeout_seconds=0.05, fence_seconds=0.5).running() as load:
        load.max_age_seconds = CAP_SECONDS + CLOCK_SECONDS
        for _ in range(3):
            load.continues(hits=20)
            with frozen():
                load.continues()
            load.continues()


def test_a_redis_restarted_with_old_data_shows_it_for_its_limit_only(own_redis: Redis, written: None) -> None:
    with _Load(own_redis, timeout_seconds=60).running() as load:
        for _ in range(2):
            load.continues(hits=20)
            raw(own_redis).save()
            load.max_age_seconds = CAP_SECONDS + CLOCK_SECONDS
            kill(own_redis)
            load.continues()
            own_redis.start()
            own_redis.wait_ready()
            until(load.reaches_redis)
            load.continues()  # no writer is in a transaction that started without Redis
            time.sleep(load.max_age_seconds)  # what was cached meanwhile has expired
            load.max_age_seconds = 0.0


class _Load:
    """A number that only grows, written through one cache object and read through another one, in two documents."""

    max_age_seconds = 0.0
    """Age that a response may have at the time of its request."""

    def __init__(self, redis: Redis, *, timeout_seconds: float, fence_seconds: float = FENCE_SECONDS) -> None:
        def server() -> Server:
            """Open the circuit breaker for a tenth of the usual time, so that the test is shorter."""
            return Server(redis.cache_url, timeout_seconds=timeout_seconds, clock=lambda: time.monotonic() * 10)

        self._servers = server(), server()
        self._cache, self._writer = (
            ResponseCache(each, max_ttl_seconds=CAP_SECONDS, fence_seconds=fence_seconds) for each in self._servers
        )
        self._names = [uuid4().hex for _ in range(2)]
        self._writes = [0, 0]
        self._reads = self._renderings = 0
        self._history = History()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._running: list[Future[None]] = []

    @contextmanager
    def running(self) -> Iterator[_Load]:
        with ThreadPoolExecutor(6) as pool:
            parts: list[Callable[[], None]] = [
                *(partial(self._write, number) for number in range(2)),
                *[self._read] * 4,
            ]
            self._running = [pool.submit(self._until_over, part) for part in parts]
            try:
                yield self
            finally:
                self._over.set()
            for part in self._running:
                part.result()

    def continues(self, *, hits: int = 0) -> None:
        """Wait for more writes of each writer and reads with this many cache hits, or for a failure."""
        writes, reads, hits = [count + 3 for count in self._writes], self._reads + 25, self._hits() + hits

        def done() -> bool:
            return all(map(gt, self._writes, writes)) and self._reads > reads and self._hits() >= hits

        until(lambda: done() or any(part.done() for part in self._running))

    def reaches_redis(self) -> bool:
        """Check that reader and writer use Redis."""
        try:
            for server in self._servers:
                server.ping()
        except RedisUnavailable:
            return False
        return True

    def _hits(self) -> int:
        return self._reads - self._renderings

    def _until_over(self, part: Callable[[], None]) -> None:
        try:
            while not self._over.is_set():
                part()
        finally:
            connection.close()

    def _write(self, writer: int) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            # While Redis hangs, only the first of these is sent.
            fences = {document: self._writer.fence(document) for document in map("written:{}".format, self._names)}
            cursor.execute("UPDATE written SET n = n + 1 RETURNING n")
            (number,) = cursor.fetchone()
            transaction.on_commit(partial(self._committed, number))
            for document, fence in fences.items():
                if fence:
                    transaction.on_commit(partial(self._writer.unfence, fence, document))
        self._writes[writer] += 1
        time.sleep(0.02)  # for the cache

    def _committed(self, number: int) -> None:
        self._history.add(number)
        time.sleep(0.005)  # for readers, who may see nothing older although the fences still stand

    def _read(self) -> None:
        max_age_seconds, requested_at = self.max_age_seconds, time.monotonic()
        shown = int(self._cache.get("written", self._names[self._reads % 2], "v", self._render))
        self._history.check(shown, requested_at, max_age_seconds=max(max_age_seconds, self.max_age_seconds))
        with self._lock:
            self._reads += 1

    def _render(self) -> Rendering:
        with connection.cursor() as cursor:
            cursor.execute("SELECT n FROM written")
            (number,) = cursor.fetchone()
        with self._lock:
            self._renderings += 1
        return str(number).encode(), 60


def _fence(cache: ResponseCache, name: str) -> str:
    fence = cache.fence(f"thing:{name}")
    assert fence
    return fence


def _change(cache: ResponseCache, name: str) -> None:
    cache.unfence(_fence(cache, name), f"thing:{name}")
