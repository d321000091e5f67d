from __future__ import annotations

import asyncio
import threading

import pytest

from outbound.addresses import Reach
from relay.errors import SessionEnded
from relay.sources import pushed
from relay.sources.fetching import Fetcher
from relay.sources.pace import Pace
from relay.sources.source import SourceLimits

SLOW = SourceLimits(bytes_per_second=100, burst_bytes=1000)


def test_a_burst_passes_and_what_is_faster_waits() -> None:
    clock = [0.0]
    pace = Pace(SLOW, now=lambda: clock[0])
    assert [pace.take(500), pace.take(500), pace.take(50)] == [0, 0, 0.5]
    clock[0] = 0.5
    assert pace.take(100) == 1
    clock[0] = 100
    assert [pace.take(1000), pace.take(100)] == [0, 1], "time without bytes earns no more than a burst"


def test_the_wait_ends_with_the_session() -> None:
    ended = threading.Event()
    fetcher = Fetcher(Reach(), limits=SLOW, user_agent="", credentials=None, ended=ended)
    threading.Timer(0.1, ended.set).start()
    with pytest.raises(SessionEnded):
        fetcher.paced(1_000_000)


def test_a_body_that_is_sent_too_fast_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushed, "SourceLimits", lambda: SLOW)

    async def push() -> None:
        source = pushed.PushedSource(silence_seconds=600)
        await source.push(bytes(1000))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await source.push(bytes(1000))

    asyncio.run(push())


def test_a_body_that_comes_byte_by_byte_is_looked_at_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def container_of(head: bytes, *, ended: bool) -> str:
        looks.append(len(head))
        return "mpegts" if len(head) >= 256 else ""

    monkeypatch.setattr(pushed, "container_of", container_of)

    async def push() -> None:
        source = pushed.PushedSource(silence_seconds=600)
        for _ in range(1000):
            await source.push(b"G")
        assert source.opened(threading.Event()).container == "mpegts"

    asyncio.run(push())
    assert looks == [64, 128, 192, 256]
