"""Parts of live streams on a real Redis: stored, announced, ordered, and missing without harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest

from coordination.live_parts import Announced, LiveFeed, LiveParts, StoredPart
from coordination.server import Server
from coordination.viewers import SLOT_SECONDS, Viewers
from embedded.servers import Redis
from tests.integration.coordination.conftest import PATIENT_SECONDS, kill, raw


@pytest.fixture
def generation() -> UUID:
    return uuid4()


@pytest.fixture
def parts(server: Server) -> LiveParts:
    return LiveParts(server)


@asynccontextmanager
async def a_feed(redis: Redis) -> AsyncIterator[LiveFeed]:
    feed = LiveFeed(redis.cache_url, timeout_seconds=PATIENT_SECONDS)
    try:
        yield feed
    finally:
        await feed.close()


def put(parts: LiveParts, generation: UUID, *numbers: tuple[int, int], attempt: int = 1) -> None:
    for segment, index in numbers:
        data = f"{attempt}: {segment}.{index}".encode()
        parts.put(
            generation, "720p", segment, index, data, attempt=attempt, ticks=15_000, independent=index == 0
        )  # fmt: skip


def listed(redis: Redis, generation: UUID) -> dict[int, list[tuple[int, int]]]:
    """Return attempt and index of each part of the one rendition, by its segment."""

    async def read() -> dict[int, list[tuple[int, int]]]:
        async with a_feed(redis) as feed:
            found = (await feed.parts(generation)).get("720p", {})
            return {number: [(part.attempt, part.index) for part in parts] for number, parts in found.items()}

    return asyncio.run(read())


def test_parts_are_listed_in_order_and_read_by_name(redis: Redis, parts: LiveParts, generation: UUID) -> None:
    put(parts, generation, (7, 0), (7, 1), (8, 0))

    async def read() -> None:
        async with a_feed(redis) as feed:
            found = await feed.parts(generation)
            assert found["720p"][7] == [StoredPart(7, 0, 1, 15_000, True), StoredPart(7, 1, 1, 15_000, False)]  # noqa: FBT003 - a value
            assert await feed.part(generation, "720p", 8, 0, 1) == b"1: 8.0"
            assert await feed.part(generation, "720p", 8, 1, 1) is None
            assert await feed.parts(uuid4()) == {}

    asyncio.run(read())


def test_parts_of_a_worker_that_took_over_take_the_place_of_the_old_ones(
    redis: Redis, parts: LiveParts, generation: UUID
) -> None:
    put(parts, generation, (3, 0), (3, 1), (3, 2))
    put(parts, generation, (3, 0), attempt=2)
    put(parts, generation, (3, 3))
    assert listed(redis, generation) == {3: [(2, 0)]}, "the old worker did not know yet"
    put(parts, generation, (3, 1), attempt=2)
    assert listed(redis, generation) == {3: [(2, 0), (2, 1)]}


def test_a_segment_that_is_made_again_begins_again(redis: Redis, parts: LiveParts, generation: UUID) -> None:
    put(parts, generation, (3, 0), (3, 1), (3, 0))
    assert listed(redis, generation) == {3: [(1, 0)]}


def test_no_part_is_listed_behind_a_gap(redis: Redis, parts: LiveParts, generation: UUID) -> None:
    put(parts, generation, (3, 0), (3, 2), (4, 1))
    assert {number: found for number, found in listed(redis, generation).items() if found} == {3: [(1, 0)]}


def test_everything_expires(redis: Redis, parts: LiveParts, generation: UUID) -> None:
    put(parts, generation, *((number, index) for number in range(60) for index in range(4)))
    keys = list(raw(redis).scan_iter(f"live:{generation}*"))
    assert len(keys) == 60 * 4 + 1
    assert all(0 < raw(redis).ttl(key) <= 60 for key in keys)
    assert raw(redis).llen(f"live:{generation}") == 200


def test_followers_are_woken_by_parts_and_by_rows(redis: Redis, parts: LiveParts, generation: UUID) -> None:
    async def follow() -> list[Announced | bool]:
        async with a_feed(redis) as feed:
            announcements = feed.announcements()
            found = [await anext(announcements)]
            await asyncio.to_thread(put, parts, generation, (0, 0))
            await asyncio.to_thread(parts.announce, generation)
            found += [await anext(announcements), await anext(announcements)]
            await announcements.aclose()
            return found

    part, rows = Announced(generation, rows=False), Announced(generation, rows=True)
    assert asyncio.run(follow()) == [True, part, rows]


def test_a_redis_that_is_gone_costs_nothing_but_the_parts(own_redis: Redis, generation: UUID) -> None:
    parts = LiveParts(Server(own_redis.cache_url, timeout_seconds=PATIENT_SECONDS))
    put(parts, generation, (0, 0))
    kill(own_redis)
    put(parts, generation, (0, 1))
    parts.announce(generation)

    async def read() -> None:
        async with a_feed(own_redis) as feed:
            assert await feed.parts(generation) == {}
            assert await feed.part(generation, "720p", 0, 0, 1) is None
            assert await anext(feed.announcements()) is False

    asyncio.run(read())


def test_without_a_redis_there_are_no_parts(generation: UUID) -> None:
    put(LiveParts(None), generation, (0, 0))

    async def read() -> None:
        feed = LiveFeed("", timeout_seconds=1)
        assert await feed.parts(generation) == {}
        assert [each async for each in feed.announcements()] == []

    asyncio.run(read())


def test_viewers_count_once_whichever_renditions_they_watch(server: Server, generation: UUID) -> None:
    viewers, now = Viewers(server), 1_000_000.0
    many = [f"viewer {number}" for number in range(2_500)]
    viewers.add(generation, {"720p": many}, now=now)
    viewers.add(generation, {"360p": many[:10], "720p": ["another", "another"]}, now=now + SLOT_SECONDS - 1)
    found = viewers.counts(generation, now=now + SLOT_SECONDS)
    assert found
    assert found.total == pytest.approx(2_501, rel=0.03), "HyperLogLogs are off by a percent"
    assert found.renditions["720p"] == pytest.approx(2_501, rel=0.03)
    assert found.renditions["360p"] == 10


def test_viewers_who_left_are_not_counted(server: Server, generation: UUID) -> None:
    viewers, now = Viewers(server), 2_000_000.0
    viewers.add(generation, {"720p": ["one"]}, now=now)
    later = viewers.counts(generation, now=now + 2 * SLOT_SECONDS)
    assert later
    assert (later.total, later.renditions) == (0, {})
    assert Viewers(None).counts(generation, now=now) is None
