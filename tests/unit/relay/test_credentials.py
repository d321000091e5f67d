"""Keys of open streams that stop working."""

import asyncio
from collections.abc import Collection

from access.callers import Presented, PresentedKey
from relay.http.credentials import Credentials

GOOD, REVOKED = PresentedKey("a", "1"), PresentedKey("b", "2")


def test_only_the_streams_of_a_key_that_does_not_work_are_dismissed() -> None:
    async def recheck(shown: Collection[Presented]) -> Collection[Presented]:
        return [each for each in shown if each != REVOKED]

    async def work() -> None:
        credentials = Credentials(recheck, seconds=0.001)
        with credentials.watched(GOOD) as good, credentials.watched(REVOKED) as revoked:
            async with asyncio.timeout(60):
                await revoked.wait()
            assert not good.is_set()

    asyncio.run(work())


def test_a_check_that_fails_dismisses_nobody() -> None:
    calls: list[int] = []
    enough = asyncio.Event()

    async def recheck(_: Collection[Presented]) -> Collection[Presented]:
        calls.append(1)
        if len(calls) > 1:
            enough.set()
        raise OSError("no database")

    async def work() -> None:
        with Credentials(recheck, seconds=0.001).watched(GOOD) as dismissed:
            async with asyncio.timeout(60):
                await enough.wait()
            assert not dismissed.is_set()

    asyncio.run(work())
