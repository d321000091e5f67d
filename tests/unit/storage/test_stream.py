"""Objects that arrive piece by piece, on the store of a folder."""

import asyncio
import threading
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from storage.errors import ObjectNotFound, StorageUnavailable
from storage.local import LocalStore
from storage.protocol import Stored
from storage.stream import IncomingObject, Lanes

PART = 1000
KEY = "videos/a"


class WatchedStore(LocalStore):
    """Counts the parts that are under way, holds them back on demand, and fails on demand."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, part_bytes=PART)
        self.fail_at: int | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.at_once = self.most_at_once = 0
        self.parts: list[int] = []
        self._lock = threading.Lock()

    def put_part(self, key: str, upload_id: str, number: int, data: bytes | bytearray) -> str:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            assert self.gate.wait(60)
            if number == self.fail_at:
                raise StorageUnavailable(key, "on purpose")
            self.parts.append(len(data))
            return super().put_part(key, upload_id, number, data)
        finally:
            with self._lock:
                self.at_once -= 1


@pytest.fixture
def store(tmp_path: Path) -> WatchedStore:
    return WatchedStore(tmp_path)


def storing(
    store: WatchedStore, scenario: Callable[[IncomingObject], Awaitable[object]], *, lanes: int = 8, parallel: int = 4
) -> None:
    async def run() -> None:
        await scenario(IncomingObject(store, KEY, "x/y", lanes=Lanes(lanes), parallel_parts=parallel))

    asyncio.run(run())


def write(data: bytes, *, step: int) -> Callable[[IncomingObject], Awaitable[Stored]]:
    async def scenario(incoming: IncomingObject) -> Stored:
        for start in range(0, len(data), step):
            await incoming.write(memoryview(data)[start : start + step])
        return await incoming.finish()

    return scenario


def test_memory_is_taken_as_bytes_come(tmp_path: Path) -> None:
    """Clients that begin an upload and send next to nothing must not cost a part each."""
    store = LocalStore(tmp_path, part_bytes=64 << 20)

    async def scenario() -> None:
        begun = [IncomingObject(store, KEY, "x/y", lanes=lanes, parallel_parts=1) for _ in range(100)]
        for incoming in begun:
            await incoming.write(bytes(1000))

    lanes = Lanes(1)
    tracemalloc.start()
    try:
        asyncio.run(scenario())
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 10 << 20


def nothing_left(store: WatchedStore) -> bool:
    return not list(store.list("videos/")) and not list(store.list_multiparts("videos/"))


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART, 10 * PART + 7])
@pytest.mark.parametrize("step", [1, 333, PART, 2500])
def test_what_is_written_is_stored_whatever_the_pieces(store: WatchedStore, size: int, step: int) -> None:
    data = bytes(number % 251 for number in range(size))
    storing(store, write(data, step=step))
    assert store.get(KEY) == data
    assert not list(store.list_multiparts("videos/"))


def test_a_small_object_needs_no_parts(store: WatchedStore) -> None:
    storing(store, write(b"x" * (PART - 1), step=100))
    assert store.parts == []


def test_parts_have_the_store_s_length(store: WatchedStore) -> None:
    storing(store, write(b"x" * (2 * PART + 5), step=7))
    assert sorted(store.parts) == [5, PART, PART]


def test_writing_waits_while_enough_parts_are_under_way(store: WatchedStore) -> None:
    store.gate.clear()

    async def scenario(incoming: IncomingObject) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await incoming.write(b"x" * 20 * PART)
        assert store.most_at_once == 3
        store.gate.set()
        await incoming.abort()

    storing(store, scenario, parallel=3)


def test_all_uploads_share_the_lanes(store: WatchedStore, tmp_path: Path) -> None:
    async def scenario() -> None:
        lanes = Lanes(2)
        incoming = [IncomingObject(store, f"videos/{n}", "", lanes=lanes, parallel_parts=4) for n in range(4)]
        await asyncio.gather(*(each.write(b"x" * 10 * PART) for each in incoming))
        await asyncio.gather(*(each.finish() for each in incoming))

    asyncio.run(scenario())
    assert store.most_at_once <= 2
    assert len(list(store.list("videos/"))) == 4


@pytest.mark.parametrize("fail_at", [1, 5, 9])
def test_a_part_that_fails_is_told_and_nothing_is_left(store: WatchedStore, fail_at: int) -> None:
    store.fail_at = fail_at

    async def scenario(incoming: IncomingObject) -> None:
        with pytest.raises(StorageUnavailable):
            await write(b"x" * (8 * PART + 1), step=100)(incoming)
        await incoming.abort()

    storing(store, scenario)
    assert nothing_left(store)


def test_aborting_leaves_nothing_whatever_was_reached(store: WatchedStore) -> None:
    async def before_the_first_part(incoming: IncomingObject) -> None:
        await incoming.write(b"x")
        await incoming.abort()

    async def between_parts(incoming: IncomingObject) -> None:
        await incoming.write(b"x" * (3 * PART + 1))
        await incoming.abort()

    async def after_the_end(incoming: IncomingObject) -> None:
        await write(b"x" * 3 * PART, step=PART)(incoming)
        await incoming.abort()

    for scenario in (before_the_first_part, between_parts, after_the_end):
        storing(store, scenario)
        assert nothing_left(store)
        with pytest.raises(ObjectNotFound):
            store.head(KEY)
