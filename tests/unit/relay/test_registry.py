"""Limits of runs and viewers, and what counts in them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from ipaddress import ip_network
from typing import Any
from uuid import UUID, uuid4

import pytest

from relay.engines.engine import Attempts, EngineKind, EngineRequest, Fallback
from relay.errors import RelayFull, SourceSilent, TooManySessions
from relay.metrics import SessionCounts
from relay.runs.registry import MAX_OWNER_VIEWERS, Registry, RunLimits
from relay.runs.run import LiveRequest, Run
from relay.runs.viewers import Outcome
from relay.sources.source import Source

OWNER, OTHER, THIRD = UUID(int=1), UUID(int=2), UUID(int=3)
LIMITS = RunLimits(max_runs=4, max_runs_per_owner=2, max_runs_per_host=2, start_seconds=120, linger_seconds=0)
ONE_PER_HOST = RunLimits(
    max_runs=9,
    max_runs_per_owner=9,
    max_runs_per_host=1,
    start_seconds=120,
    linger_seconds=0,
    receivers=(ip_network("192.168.1.0/24"),),
)


class Unwritten:
    """Records that nobody keeps."""

    async def started(self, run: Run) -> None:
        await asyncio.sleep(0)

    def first_byte(self, session_id: UUID, encoder: str, fallback: Fallback | None) -> None: ...

    def ended(self, session_id: UUID, outcome: Outcome, counts: SessionCounts) -> None: ...


def no_ways(request: EngineRequest, owner_id: UUID) -> Attempts:
    raise AssertionError("no source is there")


def silent(ended: threading.Event) -> Source:
    ended.wait()
    raise SourceSilent("nothing came")


def view(runs: Registry, url: str, *, owner: UUID = OWNER) -> Run:
    """Open a stream with a key of its own."""
    request = LiveRequest(owner_id=owner, kind=EngineKind.REMUX, source_url=url)
    return runs.join(request, key_id=uuid4(), opens=silent)[0]


def in_loop(work: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120):
            await work

    asyncio.run(bounded())


def test_runs_are_limited_per_owner_whatever_the_keys() -> None:
    async def work() -> None:
        runs = Registry(ways=no_ways, records=Unwritten(), limits=LIMITS)
        assert view(runs, "http://a.example/1") is view(runs, "http://a.example/1")
        view(runs, "http://b.example/2")
        with pytest.raises(TooManySessions, match="2 streams open"):
            view(runs, "http://c.example/3")
        view(runs, "http://a.example/1", owner=OTHER)
        view(runs, "http://b.example/2", owner=OTHER)
        with pytest.raises(RelayFull):
            view(runs, "http://a.example/1", owner=THIRD)
        await runs.close()
        with pytest.raises(RelayFull, match="drains"):
            view(runs, "http://a.example/1", owner=THIRD)

    in_loop(work())


@pytest.mark.parametrize(
    "url", ["http://a.example/2", "http://A.Example/2", "http://a.example./2", "http://a.example:8/2"]
)
def test_runs_are_limited_per_host_however_it_is_written(url: str) -> None:
    async def work() -> None:
        runs = Registry(ways=no_ways, records=Unwritten(), limits=ONE_PER_HOST)
        view(runs, "http://a.example/1")
        with pytest.raises(TooManySessions, match="that host"):
            view(runs, url)
        view(runs, url, owner=OTHER)
        await runs.close()

    in_loop(work())


def test_all_owners_share_what_a_receiver_has() -> None:
    async def work() -> None:
        runs = Registry(ways=no_ways, records=Unwritten(), limits=ONE_PER_HOST)
        view(runs, "http://192.168.1.5/1")
        with pytest.raises(TooManySessions, match="that host"):
            view(runs, "http://192.168.1.5/2", owner=OTHER)
        view(runs, "http://192.168.2.5/1")
        view(runs, "http://192.168.2.5/1", owner=OTHER)
        await runs.close()

    in_loop(work())


def test_viewers_are_limited_per_owner() -> None:
    async def work() -> None:
        runs = Registry(ways=no_ways, records=Unwritten(), limits=LIMITS)
        for number in range(MAX_OWNER_VIEWERS):
            view(runs, f"http://a.example/{number % 2}")
        with pytest.raises(TooManySessions, match=f"{MAX_OWNER_VIEWERS} viewers"):
            view(runs, "http://a.example/0")
        view(runs, "http://a.example/0", owner=OTHER)
        await runs.close()

    in_loop(work())
