from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest

from events.log import BEGINNING, LoggedEvent, Position
from events.streams.hub import EventFilter, FellBehind, Message, Subscription

OWNER = UUID(int=1)


def message(number: int) -> Message:
    event = LoggedEvent(
        position=Position(1, number),
        uid=UUID(int=number),
        owner_id=OWNER,
        video_id=UUID(int=2),
        job_id=None,
        seq=None,
        type="video.ready",
        data={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return Message.of(event, {"number": number})


def test_events_that_wait_come_together_and_in_order() -> None:
    async def given() -> list[Message]:
        subscription = Subscription(EventFilter(OWNER), BEGINNING, queue=10)
        for number in range(5):
            subscription.offer(message(number))
        return await subscription.next(seconds=60)

    assert [each.event.position.event_id for each in asyncio.run(given())] == [0, 1, 2, 3, 4]


def test_silence_gives_nothing() -> None:
    async def given() -> list[Message]:
        return await Subscription(EventFilter(OWNER), BEGINNING, queue=10).next(seconds=0.001)

    assert asyncio.run(given()) == []


def test_who_falls_behind_gets_what_fitted_and_then_leaves() -> None:
    async def given() -> int:
        subscription = Subscription(EventFilter(OWNER), BEGINNING, queue=3)
        for number in range(4):
            subscription.offer(message(number))
        fitted = len(await subscription.next(seconds=60))
        with pytest.raises(FellBehind):
            await subscription.next(seconds=60)
        return fitted

    assert asyncio.run(given()) == 3
