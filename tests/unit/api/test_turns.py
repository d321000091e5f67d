"""Turns of parties, and refusals that are repeated, on an event loop of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from api.asgi import Message, Receive, Scope, Send
from api.problems import Problem
from api.refusals import RepeatedRefusals
from api.turns import Turns
from tests.unit.api.test_asgi import Server


def _request(party: str, method: str = "GET") -> Scope:
    return {"type": "http", "path": "/x", "headers": [], "method": method, "party": party}


def _party_of(scope: Scope) -> str:
    return str(scope["party"])


class Site:
    """Requests that are handled until they are ended."""

    def __init__(self, *, total: int, limit: int, max_waiting: int = 10) -> None:
        self._turns = Turns(_party_of, total=total, limit_of=lambda _: limit, max_waiting=max_waiting)
        self.started: list[str] = []
        self.running: list[str] = []

    def send(self, name: str) -> Request:
        """Send a request of the party that its name begins with."""
        return Request(self, name)

    @asynccontextmanager
    async def handling(self, name: str) -> AsyncGenerator[None, None]:
        async with self._turns.turn(_request(name[0])):
            self.started.append(name)
            self.running.append(name)
            try:
                yield
            finally:
                self.running.remove(name)


class Request:
    def __init__(self, site: Site, name: str) -> None:
        self._end = asyncio.Event()
        self._site = site
        self.task = asyncio.create_task(self._run(name))

    async def _run(self, name: str) -> None:
        async with self._site.handling(name):
            await self._end.wait()

    async def end(self) -> None:
        self._end.set()
        await self.task

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def _idle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def _run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(test(), 60)

    asyncio.run(main())


def test_a_party_has_so_many_turns_and_another_need_not_wait_for_it() -> None:
    async def test() -> None:
        site = Site(total=4, limit=2)
        flood = [site.send(f"a{number}") for number in range(6)]
        await _idle()
        neighbour = site.send("b0")
        await _idle()
        assert site.running == ["a0", "a1", "b0"]
        await neighbour.end()
        for request in flood:
            await request.end()
        assert site.started == ["a0", "a1", "b0", "a2", "a3", "a4", "a5"]

    _run(test)


def test_parties_that_wait_take_turns() -> None:
    async def test() -> None:
        site = Site(total=1, limit=1)
        requests = {name: site.send(name) for name in ("a0", "a1", "a2", "b0", "b1", "c0")}
        await _idle()
        while site.running:
            await requests[site.running[0]].end()
            await _idle()
        assert site.started == ["a0", "a1", "b0", "c0", "a2", "b1"]

    _run(test)


def test_a_client_that_leaves_gives_its_turn_back() -> None:
    async def test() -> None:
        site = Site(total=1, limit=1)
        first, second, third = (site.send(name) for name in ("a0", "a1", "b0"))
        await _idle()
        await second.leave()  # it waited
        await first.leave()  # it was handled
        await _idle()
        assert site.running == ["b0"]
        await third.end()
        await site.send("a2").end()

    _run(test)


def test_a_client_that_leaves_when_its_turn_has_come_gives_it_back() -> None:
    async def test() -> None:
        site = Site(total=1, limit=1)
        first, second, third = (site.send(name) for name in ("a0", "b0", "c0"))
        await _idle()
        first.task.cancel()
        await asyncio.sleep(0)  # the turn is given to the second one, which has not run since
        await second.leave()
        await _idle()
        assert site.running == ["c0"]
        await third.end()

    _run(test)


def test_too_many_that_wait_are_refused() -> None:
    async def test() -> None:
        site = Site(total=4, limit=1, max_waiting=2)
        requests = [site.send(f"a{number}") for number in range(3)]
        await _idle()
        with pytest.raises(Problem) as caught:
            await site.send("a3").task
        assert (caught.value.status, caught.value.code) == (429, "too_many_requests")
        assert caught.value.headers["Retry-After"] == "1"
        await site.send("b0").end()
        for request in requests:
            await request.end()

    _run(test)


class Refusing:
    """An application that refuses with these headers, and counts how often it was called."""

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        self.calls = 0
        self._headers = headers

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        self.calls += 1
        start: Message = {"type": "http.response.start", "status": 429, "headers": list(self._headers)}
        await send(start)
        await send({"type": "http.response.body", "body": b""})


BY_RATE = ((b"RateLimit-Limit", b"60"), (b"RateLimit-Reset", b"30"), (b"Retry-After", b"7"))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def _refused(app: Refusing, clock: Clock, *requests: tuple[str, str]) -> list[Server]:
    site = RepeatedRefusals(
        app, party_of=_party_of, is_owner=lambda party: party == "owner", max_pause_seconds=0, clock=clock
    )

    async def main() -> list[Server]:
        servers = []
        for party, method in requests:
            server = Server([b""])
            await site(_request(party, method), server.receive, server.send)
            servers.append(server)
            clock.now += 2.5
        return servers

    return asyncio.run(main())


def test_a_refusal_by_a_rate_is_repeated_until_it_is_over() -> None:
    app = Refusing(*BY_RATE)
    servers = _refused(app, Clock(), *[("owner", "GET")] * 4)
    assert [server.status for server in servers] == [429] * 4
    assert app.calls == 2, "the second one after 7.5 s"
    repeated = servers[1]
    assert repeated.document["code"] == "throttled"
    assert repeated.headers[b"retry-after"] == b"5"
    assert repeated.headers[b"ratelimit-limit"] == b"60"
    assert repeated.headers[b"ratelimit-reset"] == b"28"


def test_reading_and_writing_are_refused_each_for_itself() -> None:
    app = Refusing(*BY_RATE)
    _refused(app, Clock(), ("owner", "GET"), ("owner", "POST"), ("owner", "HEAD"))
    assert app.calls == 2


@pytest.mark.parametrize("party", ["address", "owner"])
def test_what_is_no_owners_rate_is_asked_again(party: str) -> None:
    """Of an address somebody else's key may work, and other limits are about a moment."""
    app = Refusing(*(BY_RATE if party == "address" else BY_RATE[2:]))
    _refused(app, Clock(), *[(party, "GET")] * 3)
    assert app.calls == 3
