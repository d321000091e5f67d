"""Sizes of parts, and the memory of those on their way."""

import asyncio

import pytest

from storage.parts import MAX_PARTS, MemoryBudget, PartBuffer, part_bytes_for

MIB = 1 << 20


@pytest.mark.parametrize(
    ("size", "part_bytes"),
    [
        (1, 10 * MIB),
        (MAX_PARTS * 10 * MIB, 10 * MIB),
        (MAX_PARTS * 10 * MIB + 1, 11 * MIB),
        (5 << 40, 525 * MIB),
    ],
)
def test_parts_grow_with_the_file_so_that_a_multipart_upload_has_room_for_it(size: int, part_bytes: int) -> None:
    assert part_bytes_for(size, 10 * MIB) == part_bytes
    assert -(-size // part_bytes) <= MAX_PARTS


def test_a_buffer_takes_what_fits_and_keeps_what_was_read_of_it() -> None:
    buffer = PartBuffer(5)
    assert (len(buffer), bytes(buffer.data)) == (0, b"")
    assert not buffer.take(memoryview(b"ab"))
    early = buffer.data
    assert not buffer.full
    assert bytes(buffer.take(memoryview(b"cdefg"))) == b"fg"
    assert (bytes(buffer.data), bytes(early)) == (b"abcde", b"ab")
    assert buffer.full


async def waits(budget: MemoryBudget, size: int) -> asyncio.Task[None]:
    waiting = asyncio.create_task(budget.acquire(size))
    await asyncio.sleep(0)
    return waiting


def test_those_who_wait_for_memory_get_it_in_their_order() -> None:
    async def scenario() -> None:
        budget = MemoryBudget(10)
        await budget.acquire(6)
        large, small = await waits(budget, 8), await waits(budget, 1)
        assert not large.done()
        assert not small.done(), "nobody overtakes, or a large part would wait for ever"
        budget.release(6)
        await asyncio.gather(large, small)
        last = await waits(budget, 2)
        budget.release(1)
        await last

    asyncio.run(scenario())


def test_a_part_beyond_the_budget_is_alone_in_memory() -> None:
    async def scenario() -> None:
        budget = MemoryBudget(10)
        await budget.acquire(100)
        other = await waits(budget, 1)
        assert not other.done()
        budget.release(100)
        await other

    asyncio.run(scenario())


@pytest.mark.parametrize("admitted", [False, True])
def test_memory_is_free_again_when_somebody_who_waits_for_it_gives_up(*, admitted: bool) -> None:
    async def scenario() -> None:
        budget = MemoryBudget(10)
        await budget.acquire(10)
        leaving, staying = await waits(budget, 10), await waits(budget, 5)
        if admitted:
            budget.release(10)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        if not admitted:
            budget.release(10)
        await staying
        async with budget.held(5):
            pass

    asyncio.run(scenario())
