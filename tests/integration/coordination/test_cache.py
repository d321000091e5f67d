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
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction

from coordination.cache import Rendered, ResponseCache
from coordination.server import RedisUnavailable, Server
from embedded.servers import Redis
from tests.integration.coordination.conftest import PATIENT_SECONDS, patient, patient_cache, raw

Freeze = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def name() -> str:
    return uuid4().hex


def _never() -> Rendered:
    raise AssertionError("was not cached")


def _get(cache: ResponseCache, name: str, body: bytes, seconds: float = 60) -> bytes:
    return cache.get("thing", name, "v", lambda: Rendered(body, seconds))


def test_a_response_is_cached_for_its_variant(cache: ResponseCache, name: str) -> None:
    assert _get(cache, name, b"one") == b"one"
    assert cache.get("thing", name, "v", _never) == b"one"
    assert cache.get("thing", name, "other", lambda: Rendered(b"two", 60)) == b"two"
    assert cache.get("other", name, "v", lambda: Rendered(b"three", 60)) == b"three"


def test_a_response_is_cached_for_its_time_to_live(cache: ResponseCache, name: str) -> None:
    _get(cache, name, b"old", seconds=0.05)
    _until(lambda: _get(cache, name, b"new") == b"new")


def test_a_response_without_time_to_live_is_not_cached(cache: ResponseCache, name: str) -> None:
    _get(cache, name, b"old", seconds=0)
    assert _get(cache, name, b"new") == b"new"


def test_a_failed_rendering_delays_nobody(cache: ResponseCache, name: str) -> None:
    def fail() -> Rendered:
        raise LookupError

    for _ in range(3):
        with pytest.raises(LookupError):
            cache.get("thing", name, "v", fail)
    assert _get(cache, name, b"next") == b"next"
    assert cache.get("thing", name, "v", _never) == b"next", "the lease was released"


def test_a_crowd_of_readers_renders_once(cache: ResponseCache, name: str) -> None:
    rendered: list[int] = []
    start = threading.Barrier(20)

    def render() -> Rendered:
        rendered.append(1)
        time.sleep(0.05)
        return Rendered(b"body", 60)

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
    patient_cache(patient(redis))
    crowd = [forks.Process(target=_crowd, args=(redis, name, start)) for _ in range(4)]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join()
    assert [process.exitcode for process in crowd] == [0] * 4
    assert raw(redis).get(f"rendered:{name}") == b"1"


def _crowd(redis: Redis, name: str, start: Barrier) -> None:
    cache = patient_cache(patient(redis))

    def render() -> Rendered:
        raw(redis).incr(f"rendered:{name}")
        time.sleep(0.5)  # longer than one poll
        return Rendered(b"body", 60)

    start.wait(60)
    with ThreadPoolExecutor(5) as pool:
        bodies = list(pool.map(lambda _: cache.get("thing", name, "v", render), range(5)))
    assert bodies == [b"body"] * 5


def test_a_rendering_longer_than_a_lease_happens_once_and_is_cached(server: Server, name: str) -> None:
    cache = ResponseCache(server, max_ttl_seconds=300, wait_seconds=60, lease_seconds=4, epoch_seconds=60)
    cache.renew_epoch()
    started, proceed = threading.Event(), threading.Event()

    def slow() -> Rendered:
        started.set()
        proceed.wait(60)
        return Rendered(b"slow", 60)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, "thing", name, "v", slow)
        assert started.wait(60)
        other = pool.submit(cache.get, "thing", name, "v", _never)
        until = time.monotonic() + 6
        while time.monotonic() < until:
            cache.extend_leases()
            time.sleep(0.1)
        assert not other.done()
        proceed.set()
        assert (first.result(), other.result()) == (b"slow", b"slow")
    assert cache.get("thing", name, "v", _never) == b"slow"


def test_a_failed_rendering_releases_its_own_lease_only(cache: ResponseCache, name: str, redis: Redis) -> None:
    def overtaken() -> Rendered:
        raw(redis).hset(f"cache:thing:{name}", "#lease:v", "another owner's")
        raise LookupError

    with pytest.raises(LookupError):
        cache.get("thing", name, "v", overtaken)
    assert raw(redis).hget(f"cache:thing:{name}", "#lease:v") == b"another owner's"


def test_a_cache_hit_costs_one_round_trip(redis: Redis, name: str) -> None:
    clock = _Clock()
    server = _Counting(redis.cache_url, timeout_seconds=60, clock=clock)
    cache = patient_cache(server)
    _get(cache, name, b"cached")
    server.calls = 0
    for _ in range(10):
        assert cache.get("thing", name, "v", _never) == b"cached"
    assert server.calls == 10
    clock.passes(1)
    assert cache.get("thing", name, "v", _never) == b"cached"
    assert server.calls == 12, "Redis may have hung"


class _Counting(Server):
    calls = 0

    def call(self, command: Callable[[], object]) -> Any:  # noqa: ANN401 - as the server's own
        self.calls += 1
        return super().call(command)


def test_a_first_hit_after_a_hang_does_not_count(redis: Redis, name: str) -> None:
    """Within one turn of its loop Redis may serve a reader before the new epoch that a writer requested earlier."""
    clock = _Clock()
    server = _Overtaken(redis.cache_url, timeout_seconds=60, clock=clock)
    cache = patient_cache(server)
    _get(cache, name, b"old")
    clock.passes(1)
    server.overtake = lambda: raw(redis).set("cache:epoch", uuid4().hex)
    assert _get(cache, name, b"new") == b"new"


class _Overtaken(Server):
    """Calls `overtake` once, between the execution of a command and its reply."""

    overtake: Callable[[], object] | None = None

    def call(self, command: Callable[[], object]) -> Any:  # noqa: ANN401 - as the server's own
        reply = super().call(command)
        overtake, self.overtake = self.overtake, None
        if overtake:
            overtake()
        return reply


def test_a_crowd_does_not_wait_for_a_slow_rendering(server: Server, name: str) -> None:
    cache = patient_cache(server, wait_seconds=0.05)
    started, proceed = threading.Event(), threading.Event()

    def slow() -> Rendered:
        started.set()
        proceed.wait(60)
        return Rendered(b"slow", 60)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(cache.get, "thing", name, "v", slow)
        assert started.wait(60)
        assert _get(cache, name, b"own") == b"own"
        proceed.set()
        assert first.result() == b"slow"
    assert cache.get("thing", name, "v", _never) == b"slow", "a reader without the lease stored nothing"


def test_a_response_rendered_before_a_change_is_not_cached_after_it(cache: ResponseCache, name: str) -> None:
    def overtaken() -> Rendered:
        _change(cache, name)
        return Rendered(b"old", 60)

    assert cache.get("thing", name, "v", overtaken) == b"old"
    assert _get(cache, name, b"new") == b"new"


def test_nothing_is_cached_behind_a_fence(cache: ResponseCache, name: str) -> None:
    _get(cache, name, b"old")
    cache.fence(f"thing:{name}")
    cache.fence(f"thing:{name}")
    assert _get(cache, name, b"between") == b"between"
    cache.unfence(f"thing:{name}", fenced=True)
    assert _get(cache, name, b"behind the other") == b"behind the other"
    cache.unfence(f"thing:{name}", fenced=True)
    assert _get(cache, name, b"new") == b"new"
    assert cache.get("thing", name, "v", _never) == b"new"


def test_an_epoch_that_nobody_renews_ends_with_all_cached_responses(
    cache: ResponseCache, name: str, redis: Redis
) -> None:
    _get(cache, name, b"old")
    raw(redis).delete("cache:epoch")
    assert _get(cache, name, b"newer") == b"newer"
    assert _get(cache, name, b"newest") == b"newest", "nothing is cached until the epoch is renewed"
    cache.renew_epoch()
    assert _get(cache, name, b"last") == b"last"
    assert cache.get("thing", name, "v", _never) == b"last"


def test_a_redis_that_hung_ends_the_epoch_before_any_later_command(
    cache: ResponseCache, redis: Redis, frozen: Freeze
) -> None:
    clock = _Clock()
    server = Server(redis.cache_url, timeout_seconds=0.5, clock=clock)
    writer = ResponseCache(server, max_ttl_seconds=300, epoch_seconds=PATIENT_SECONDS)
    names = [uuid4().hex for _ in range(20)]
    _until(lambda: clock.passes(2) and _renewed(writer))  # connected before Redis hangs, on a busy machine, too
    for name in names:
        _get(cache, name, b"old")
    with ThreadPoolExecutor(len(names)) as readers:
        with frozen():
            started = time.monotonic()
            for name in names:
                _change(writer, name)
                assert _get(writer, name, b"new") == b"new"
            assert time.monotonic() - started < len(names) * 0.5 / 2, "only the first one waits for Redis"
            shown = [readers.submit(_get, cache, name, b"new") for name in names]
            time.sleep(0.2)  # some of them are on their way by now
        assert [each.result() for each in shown] == [b"new"] * len(names)
    _until(lambda: clock.passes(2) and _renewed(writer) and _uses_the_cache(writer))


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> bool:
        self.now += seconds
        return True


def _uses_the_cache(cache: ResponseCache) -> bool:
    """Check that a cached response is returned."""
    name = uuid4().hex
    _get(cache, name, b"cached")
    return _get(cache, name, b"rendered again") == b"cached"


def test_a_redis_restarted_with_old_data_serves_nothing_stale(
    own_redis: Redis, restarted: Callable[[], None], name: str
) -> None:
    cache = patient_cache(patient(own_redis))
    _get(cache, name, b"old")
    assert cache.get("thing", name, "v", _never) == b"old"
    raw(own_redis).save()
    restarted()
    patient_cache(patient(own_redis))
    assert raw(own_redis).exists(f"cache:thing:{name}"), "the data was saved"
    assert _get(cache, name, b"new") == b"new"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("shaken", [False, True], ids=["steady", "redis freezes again and again"])
def test_no_reader_sees_less_than_was_written_before_its_request(redis: Redis, frozen: Freeze, *, shaken: bool) -> None:
    def server() -> Server:
        """Open the circuit breaker for a tenth of the usual time, so that the test is shorter."""
        return Server(redis.cache_url, timeout_seconds=0.05 if shaken else 60, clock=lambda: time.monotonic() * 10)

    cache, writer = (ResponseCache(server(), max_ttl_seconds=300) for _ in range(2))
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE written (n int)")
        cursor.execute("INSERT INTO written VALUES (0)")
    try:
        for _ in range(3 if shaken else 1):
            with _World(cache, writer, uuid4().hex).running() as world:
                world.continues(hits=20)
                if shaken:
                    with frozen():
                        world.continues()
                    world.continues()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE written")


class _World:
    """A number in the database that only grows, written through one cache object and read through another one."""

    def __init__(self, cache: ResponseCache, writer: ResponseCache, name: str) -> None:
        self._writes = self._reads = self._renderings = 0
        self._over = threading.Event()
        self._cache = cache
        self._writer = writer
        self._name = name
        self._written = 0
        self._lock = threading.Lock()
        self._running: list[Future[None]] = []

    @contextmanager
    def running(self) -> Iterator[_World]:
        with ThreadPoolExecutor(7) as pool:
            parts = [self._renew, *[self._write] * 2, *[self._read] * 4]
            self._running = [pool.submit(self._until_over, part) for part in parts]
            try:
                yield self
            finally:
                self._over.set()
            for part in self._running:
                part.result()

    def continues(self, *, hits: int = 0) -> None:
        """Wait for more writes and reads with this many cache hits, or for a failure."""
        writes, reads, hits = self._writes + 5, self._reads + 25, self._reads - self._renderings + hits

        def done() -> bool:
            return self._writes > writes and self._reads > reads and self._reads - self._renderings >= hits

        _until(lambda: done() or any(part.done() for part in self._running))

    def _until_over(self, part: Callable[[], None]) -> None:
        try:
            while not self._over.is_set():
                part()
        finally:
            connection.close()

    def _write(self) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            fenced = self._writer.fence(f"written:{self._name}")
            cursor.execute("UPDATE written SET n = n + 1 RETURNING n")
            (number,) = cursor.fetchone()
            transaction.on_commit(partial(self._writer.unfence, f"written:{self._name}", fenced=fenced))
        with self._lock:
            self._written = max(self._written, number)
            self._writes += 1
        time.sleep(0.005)

    def _read(self) -> None:
        written = self._written
        shown = int(self._cache.get("written", self._name, "v", self._render))
        assert shown >= written, f"was shown {shown} after {written} had been written"
        with self._lock:
            self._reads += 1

    def _renew(self) -> None:
        _renewed(self._cache)
        self._over.wait(0.1)

    def _render(self) -> Rendered:
        with connection.cursor() as cursor:
            cursor.execute("SELECT n FROM written")
            (number,) = cursor.fetchone()
        with self._lock:
            self._renderings += 1
        return Rendered(str(number).encode(), 60)


def _change(cache: ResponseCache, name: str) -> None:
    fenced = cache.fence(f"thing:{name}")
    cache.unfence(f"thing:{name}", fenced=fenced)


def _renewed(cache: ResponseCache) -> bool:
    try:
        cache.renew_epoch()
    except RedisUnavailable:
        return False
    return True


def _until(done: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)
