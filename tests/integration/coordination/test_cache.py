"""What the cache promises, on a real Redis: nothing old is shown, and an answer is made once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from uuid import uuid4

import pytest
from django.db import connection, transaction

from coordination import cache as module
from coordination.cache import AnswerCache, Made
from coordination.server import Away, Server
from embedded.servers import Redis
from tests.integration.coordination.conftest import patient

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
        began = time.monotonic()
        with pytest.raises(LookupError):
            cache.answer("thing", name, "v", fail)
        assert time.monotonic() - began < module.WAIT_SECONDS, "the lease was given back"


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


def test_a_crowd_does_not_wait_for_one_who_is_slow(
    cache: AnswerCache, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    go_on = threading.Event()

    def slow() -> Made:
        go_on.wait(10)
        return Made(b"slow", 60)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(cache.answer, "thing", name, "v", slow)
        _until(lambda: cache._read("thing", name, "v")[0] == "busy")
        assert _ask(cache, name, b"own") == b"own"
        go_on.set()
        assert first.result() == b"slow"


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


def test_an_epoch_that_nobody_keeps_ends_with_all_that_was_kept(cache: AnswerCache, name: str, server: Server) -> None:
    _ask(cache, name, b"old")
    server._redis.delete(module._EPOCH)
    assert _ask(cache, name, b"newer") == b"newer"
    assert _ask(cache, name, b"newest") == b"newest", "nothing is kept until somebody does"
    cache.keep_epoch()
    assert _ask(cache, name, b"last") == b"last"
    assert cache.answer("thing", name, "v", _never) == b"last"


def test_a_change_that_redis_did_not_hear_of_ends_the_epoch_first_of_all_when_it_goes_on(
    cache: AnswerCache, redis: Redis, frozen: Freeze
) -> None:
    writer = AnswerCache(Server(redis.cache_url, timeout_seconds=0.05), seconds=300)
    names = [uuid4().hex for _ in range(20)]
    _change(writer, uuid4().hex)
    for name in names:
        _ask(cache, name, b"old")
    with ThreadPoolExecutor(len(names)) as readers:
        with frozen():
            for name in names:
                began = time.monotonic()
                _change(writer, name)
                assert time.monotonic() - began < 2, "only the first one waits for Redis, and not long"
                assert _ask(writer, name, b"new") == b"new"
            shown = [readers.submit(_ask, cache, name, b"new") for name in names]
            time.sleep(0.2)
        assert [each.result() for each in shown] == [b"new"] * len(names)
    _until(lambda: _kept_epoch(writer))
    other = uuid4().hex
    _ask(writer, other, b"kept")
    assert writer.answer("thing", other, "v", _never) == b"kept", "and believes what is kept again"


def test_a_redis_that_comes_back_with_what_it_had_has_nothing_old_to_say(
    own_redis: Redis, restarted: Callable[[], None], name: str
) -> None:
    cache = AnswerCache(patient(own_redis), seconds=300)
    cache.keep_epoch()
    _ask(cache, name, b"old")
    assert cache.answer("thing", name, "v", _never) == b"old"
    patient(own_redis)._redis.save()
    restarted()
    keeper = AnswerCache(patient(own_redis), seconds=300)
    keeper.keep_epoch()
    assert keeper._server._redis.exists(f"cache:thing:{name}"), "it has it still"
    assert _ask(cache, name, b"new") == b"new"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("shaken", [False, True], ids=["steady", "redis freezes again and again"])
def test_no_reader_is_shown_less_than_what_was_written_before_it_asked(
    redis: Redis, name: str, frozen: Freeze, *, shaken: bool
) -> None:
    cache, writer = (
        AnswerCache(Server(redis.cache_url, timeout_seconds=0.05 if shaken else 5), seconds=300) for _ in range(2)
    )
    _until(lambda: _kept_epoch(cache) and _kept_epoch(writer))
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE told (n int)")
        cursor.execute("INSERT INTO told VALUES (0)")
    world = _World(cache, writer, name)
    try:
        with ThreadPoolExecutor(8) as pool:
            readers = [pool.submit(world.read) for _ in range(4)]
            writers = [pool.submit(world.write) for _ in range(2)]
            keeper = pool.submit(world.keep)
            for _ in range(4):
                time.sleep(0.3)
                if shaken:
                    with frozen():
                        time.sleep(0.15)
            world.over.set()
            for future in (*readers, *writers, keeper):
                future.result()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE told")
    assert world.writes > 20
    assert world.reads > 100
    assert shaken or world.reads > world.made, "some were answered from the cache"


class _World:
    """A number in the database that only grows, written by one process and shown by another one."""

    def __init__(self, cache: AnswerCache, writer: AnswerCache, name: str) -> None:
        self.over = threading.Event()
        self.writes = self.reads = self.made = 0
        self._cache = cache
        self._writer = writer
        self._name = name
        self._told = 0
        self._lock = threading.Lock()

    def write(self) -> None:
        while not self.over.is_set():
            with transaction.atomic(), connection.cursor() as cursor:
                fenced = self._writer.fence(f"told:{self._name}")
                cursor.execute("UPDATE told SET n = n + 1 RETURNING n")
                (number,) = cursor.fetchone()
                transaction.on_commit(partial(self._writer.clear, f"told:{self._name}", fenced=fenced))
            with self._lock:
                self._told = max(self._told, number)
                self.writes += 1
            time.sleep(0.005)
        connection.close()

    def read(self) -> None:
        while not self.over.is_set():
            told = self._told
            shown = int(self._cache.answer("told", self._name, "v", self._make))
            self.reads += 1
            assert shown >= told, f"was shown {shown} after {told} had been written"
        connection.close()

    def keep(self) -> None:
        while not self.over.wait(0.1):
            _kept_epoch(self._cache)

    def _make(self) -> Made:
        with connection.cursor() as cursor:
            cursor.execute("SELECT n FROM told")
            (number,) = cursor.fetchone()
        self.made += 1
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


def _until(done: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)
