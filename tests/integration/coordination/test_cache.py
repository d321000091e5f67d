"""What the cache promises, on a real Redis: nothing old is shown, and an answer is made once."""

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

from coordination.cache import AnswerCache, Made
from coordination.server import Away, Server
from embedded.servers import Redis
from tests.integration.coordination.conftest import patient, patient_cache, raw

Freeze = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def name() -> str:
    return uuid4().hex


def _never() -> Made:
    raise AssertionError("was kept")


def _ask(cache: AnswerCache, name: str, body: bytes, seconds: float = 60) -> bytes:
    return cache.answer("thing", name, "v", lambda: Made(body, seconds))


def test_an_answer_is_kept_for_its_variant(cache: AnswerCache, name: str) -> None:
    assert _ask(cache, name, b"one") == b"one"
    assert cache.answer("thing", name, "v", _never) == b"one"
    assert cache.answer("thing", name, "other", lambda: Made(b"two", 60)) == b"two"
    assert cache.answer("other", name, "v", lambda: Made(b"three", 60)) == b"three"


def test_an_answer_is_kept_for_its_time(cache: AnswerCache, name: str) -> None:
    _ask(cache, name, b"old", seconds=0.05)
    _until(lambda: _ask(cache, name, b"new") == b"new")


def test_what_is_not_to_be_kept_is_not(cache: AnswerCache, name: str) -> None:
    _ask(cache, name, b"old", seconds=0)
    assert _ask(cache, name, b"new") == b"new"


def test_what_cannot_be_made_holds_nobody_up(cache: AnswerCache, name: str) -> None:
    def fail() -> Made:
        raise LookupError

    for _ in range(3):
        with pytest.raises(LookupError):
            cache.answer("thing", name, "v", fail)
    assert _ask(cache, name, b"next") == b"next"
    assert cache.answer("thing", name, "v", _never) == b"next", "the lease was given back to the next one"


def test_a_crowd_has_an_answer_made_once(cache: AnswerCache, name: str) -> None:
    made: list[int] = []
    start = threading.Barrier(20)

    def make() -> Made:
        made.append(1)
        time.sleep(0.05)
        return Made(b"body", 60)

    def ask() -> bytes:
        start.wait()
        return cache.answer("thing", name, "v", make)

    with ThreadPoolExecutor(20) as pool:
        answers = [future.result() for future in [pool.submit(ask) for _ in range(20)]]
    assert set(answers) == {b"body"}
    assert len(made) == 1


def test_a_crowd_in_several_processes_has_an_answer_made_once(redis: Redis, name: str) -> None:
    forks = multiprocessing.get_context("fork")
    start = forks.Barrier(4)
    patient_cache(patient(redis))
    crowd = [forks.Process(target=_crowd, args=(redis, name, start)) for _ in range(4)]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join()
    assert [process.exitcode for process in crowd] == [0] * 4
    assert raw(redis).get(f"made:{name}") == b"1"


def _crowd(redis: Redis, name: str, start: Barrier) -> None:
    cache = patient_cache(patient(redis))

    def make() -> Made:
        raw(redis).incr(f"made:{name}")
        time.sleep(0.5)  # for longer than anybody looks only once
        return Made(b"body", 60)

    start.wait(60)
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: cache.answer("thing", name, "v", make), range(5)))
    assert answers == [b"body"] * 5


def test_an_answer_that_takes_longer_than_a_lease_is_made_once_and_kept(server: Server, name: str) -> None:
    cache = AnswerCache(server, seconds=300, wait_seconds=60, lease_seconds=4, epoch_seconds=60)
    cache.keep_epoch()
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> Made:
        begun.set()
        go_on.wait(60)
        return Made(b"slow", 60)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.answer, "thing", name, "v", slow)
        assert begun.wait(60)
        other = pool.submit(cache.answer, "thing", name, "v", _never)
        until = time.monotonic() + 6
        while time.monotonic() < until:
            cache.extend_leases()
            time.sleep(0.1)
        assert not other.done()
        go_on.set()
        assert (first.result(), other.result()) == (b"slow", b"slow")
    assert cache.answer("thing", name, "v", _never) == b"slow"


def test_what_is_made_in_vain_gives_its_lease_back_and_no_other(cache: AnswerCache, name: str, redis: Redis) -> None:
    def overtaken() -> Made:
        raw(redis).hset(f"cache:thing:{name}", "#lease:v", "another owner's")
        raise LookupError

    with pytest.raises(LookupError):
        cache.answer("thing", name, "v", overtaken)
    assert raw(redis).hget(f"cache:thing:{name}", "#lease:v") == b"another owner's"


def test_a_kept_answer_costs_one_round_trip(redis: Redis, name: str) -> None:
    server = _Counting(redis.cache_url, timeout_seconds=60)
    cache = patient_cache(server)
    _ask(cache, name, b"kept")
    server.asked = 0
    for _ in range(10):
        assert cache.answer("thing", name, "v", _never) == b"kept"
    assert server.asked == 10


class _Counting(Server):
    asked = 0

    def ask(self, question: Callable[[], object]) -> Any:  # noqa: ANN401 - as the server's own
        self.asked += 1
        return super().ask(question)


def test_a_crowd_does_not_wait_for_one_who_is_slow(server: Server, name: str) -> None:
    cache = patient_cache(server, wait_seconds=0.05)
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> Made:
        begun.set()
        go_on.wait(60)
        return Made(b"slow", 60)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(cache.answer, "thing", name, "v", slow)
        assert begun.wait(60)
        assert _ask(cache, name, b"own") == b"own"
        go_on.set()
        assert first.result() == b"slow"
    assert cache.answer("thing", name, "v", _never) == b"slow", "who did not wait left nothing"


def test_an_answer_made_before_a_change_is_not_kept_after_it(cache: AnswerCache, name: str) -> None:
    def overtaken() -> Made:
        _change(cache, name)
        return Made(b"old", 60)

    assert cache.answer("thing", name, "v", overtaken) == b"old"
    assert _ask(cache, name, b"new") == b"new"


def test_nothing_is_kept_behind_a_fence(cache: AnswerCache, name: str) -> None:
    _ask(cache, name, b"old")
    cache.fence(f"thing:{name}")
    cache.fence(f"thing:{name}")
    assert _ask(cache, name, b"between") == b"between"
    cache.clear(f"thing:{name}", fenced=True)
    assert _ask(cache, name, b"behind the other") == b"behind the other"
    cache.clear(f"thing:{name}", fenced=True)
    assert _ask(cache, name, b"new") == b"new"
    assert cache.answer("thing", name, "v", _never) == b"new"


def test_an_epoch_that_nobody_keeps_ends_with_all_that_was_kept(cache: AnswerCache, name: str, redis: Redis) -> None:
    _ask(cache, name, b"old")
    raw(redis).delete("cache:epoch")
    assert _ask(cache, name, b"newer") == b"newer"
    assert _ask(cache, name, b"newest") == b"newest", "nothing is kept until somebody does"
    cache.keep_epoch()
    assert _ask(cache, name, b"last") == b"last"
    assert cache.answer("thing", name, "v", _never) == b"last"


def test_a_change_that_redis_did_not_hear_of_ends_the_epoch_first_of_all_when_it_goes_on(
    cache: AnswerCache, redis: Redis, frozen: Freeze
) -> None:
    clock = _Clock()
    writer = AnswerCache(Server(redis.cache_url, timeout_seconds=0.5, clock=clock), seconds=300)
    names = [uuid4().hex for _ in range(20)]
    _change(writer, uuid4().hex)
    for name in names:
        _ask(cache, name, b"old")
    with ThreadPoolExecutor(len(names)) as readers:
        with frozen():
            began = time.monotonic()
            for name in names:
                _change(writer, name)
                assert _ask(writer, name, b"new") == b"new"
            assert time.monotonic() - began < len(names) * 0.5 / 2, "only the first one waits for Redis"
            shown = [readers.submit(_ask, cache, name, b"new") for name in names]
            time.sleep(0.2)  # some of them are on their way by now
        assert [each.result() for each in shown] == [b"new"] * len(names)
    _until(lambda: clock.passes(2) and _kept_epoch(writer) and _believes(writer))


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> bool:
        self.now += seconds
        return True


def _believes(cache: AnswerCache) -> bool:
    """Whether it shows what is kept."""
    name = uuid4().hex
    _ask(cache, name, b"kept")
    return _ask(cache, name, b"made again") == b"kept"


def test_a_redis_that_comes_back_with_what_it_had_has_nothing_old_to_say(
    own_redis: Redis, restarted: Callable[[], None], name: str
) -> None:
    cache = patient_cache(patient(own_redis))
    _ask(cache, name, b"old")
    assert cache.answer("thing", name, "v", _never) == b"old"
    raw(own_redis).save()
    restarted()
    patient_cache(patient(own_redis))
    assert raw(own_redis).exists(f"cache:thing:{name}"), "it has it still"
    assert _ask(cache, name, b"new") == b"new"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("shaken", [False, True], ids=["steady", "redis freezes again and again"])
def test_no_reader_is_shown_less_than_what_was_written_before_it_asked(
    redis: Redis, frozen: Freeze, *, shaken: bool
) -> None:
    def server() -> Server:
        """Left alone for a tenth of the usual time, so that all is over sooner."""
        return Server(redis.cache_url, timeout_seconds=0.05 if shaken else 60, clock=lambda: time.monotonic() * 10)

    cache, writer = (AnswerCache(server(), seconds=300) for _ in range(2))
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE told (n int)")
        cursor.execute("INSERT INTO told VALUES (0)")
    try:
        for _ in range(3 if shaken else 1):
            with _World(cache, writer, uuid4().hex).running() as world:
                world.goes_on(hits=20)
                if shaken:
                    with frozen():
                        world.goes_on()
                    world.goes_on()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE told")


class _World:
    """A number in the database that only grows, written by one process and shown by another one."""

    def __init__(self, cache: AnswerCache, writer: AnswerCache, name: str) -> None:
        self._writes = self._reads = self._made = 0
        self._over = threading.Event()
        self._cache = cache
        self._writer = writer
        self._name = name
        self._told = 0
        self._lock = threading.Lock()
        self._running: list[Future[None]] = []

    @contextmanager
    def running(self) -> Iterator[_World]:
        with ThreadPoolExecutor(7) as pool:
            parts = [self._keep, *[self._write] * 2, *[self._read] * 4]
            self._running = [pool.submit(self._until_over, part) for part in parts]
            try:
                yield self
            finally:
                self._over.set()
            for part in self._running:
                part.result()

    def goes_on(self, *, hits: int = 0) -> None:
        """Wait for more writes and reads, so many of them answered from the cache, or for one that failed."""
        writes, reads, kept = self._writes + 5, self._reads + 25, self._reads - self._made + hits

        def done() -> bool:
            return self._writes > writes and self._reads > reads and self._reads - self._made >= kept

        _until(lambda: done() or any(part.done() for part in self._running))

    def _until_over(self, part: Callable[[], None]) -> None:
        try:
            while not self._over.is_set():
                part()
        finally:
            connection.close()

    def _write(self) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            fenced = self._writer.fence(f"told:{self._name}")
            cursor.execute("UPDATE told SET n = n + 1 RETURNING n")
            (number,) = cursor.fetchone()
            transaction.on_commit(partial(self._writer.clear, f"told:{self._name}", fenced=fenced))
        with self._lock:
            self._told = max(self._told, number)
            self._writes += 1
        time.sleep(0.005)

    def _read(self) -> None:
        told = self._told
        shown = int(self._cache.answer("told", self._name, "v", self._make))
        assert shown >= told, f"was shown {shown} after {told} had been written"
        with self._lock:
            self._reads += 1

    def _keep(self) -> None:
        _kept_epoch(self._cache)
        self._over.wait(0.1)

    def _make(self) -> Made:
        with connection.cursor() as cursor:
            cursor.execute("SELECT n FROM told")
            (number,) = cursor.fetchone()
        with self._lock:
            self._made += 1
        return Made(str(number).encode(), 60)


def _change(cache: AnswerCache, name: str) -> None:
    fenced = cache.fence(f"thing:{name}")
    cache.clear(f"thing:{name}", fenced=fenced)


def _kept_epoch(cache: AnswerCache) -> bool:
    try:
        cache.keep_epoch()
    except Away:
        return False
    return True


def _until(done: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)
