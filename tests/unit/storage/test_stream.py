"""Streaming uploads into a local store."""

import asyncio
import mmap
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from storage.errors import ObjectNotFound, StorageUnavailable
from storage.local import LocalStore
from storage.protocol import Bytes, StoredObject
from storage.stream import IncomingObject, UploadPool

PART = 1000
KEY = "videos/a"


class InstrumentedStore(LocalStore):
    """Local store that counts the parts in flight, and blocks or fails them on demand."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, part_bytes=PART)
        self.fail_at: int | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Semaphore(0)
        self.parts_in_flight = self.peak_parts = 0
        self.parts: list[int] = []
        self._lock = threading.Lock()

    def put_part(self, key: str, upload_id: str, number: int, data: Bytes) -> str:
        with self._lock:
            self.parts_in_flight += 1
            self.peak_parts = max(self.peak_parts, self.parts_in_flight)
        self.started.release()
        try:
            assert self.gate.wait(60)
            if number == self.fail_at:
                raise StorageUnavailable(key, "on purpose")
            self.parts.append(len(data))
            return super().put_part(key, upload_id, number, data)
        finally:
            with self._lock:
                self.parts_in_flight -= 1


@pytest.fixture
def store(tmp_path: Path) -> InstrumentedStore:
    return InstrumentedStore(tmp_path)


def run_upload(
    store: InstrumentedStore,
    scenario: Callable[[IncomingObject], Awaitable[object]],
    *,
    threads: int = 8,
    parallel: int = 4,
) -> None:
    async def run() -> None:
        pool = UploadPool(threads, memory_bytes=threads * PART)
        await scenario(IncomingObject(store, KEY, "x/y", pool=pool, parallel_parts=parallel))

    asyncio.run(run())


def write(data: bytes, *, step: int) -> Callable[[IncomingObject], Awaitable[StoredObject]]:
    async def scenario(incoming: IncomingObject) -> StoredObject:
        for start in range(0, len(data), step):
            await incoming.write(memoryview(data)[start : start + step])
        return await incoming.finish()

    return scenario


def test_memory_grows_with_the_bytes_received(tmp_path: Path) -> None:
    """Clients that open an upload and send next to nothing must not take the memory of a part each."""
    store = LocalStore(tmp_path, part_bytes=64 << 20)

    async def scenario() -> None:
        uploads = [IncomingObject(store, KEY, "x/y", pool=pool, parallel_parts=1) for _ in range(100)]
        for incoming in uploads:
            await incoming.write(bytes(1000))
        assert resident_bytes() - before < 300 << 20, "not more than a huge page each"

    pool = UploadPool(1, memory_bytes=64 << 20)
    before = resident_bytes()
    asyncio.run(scenario())


def resident_bytes() -> int:
    """Memory that this process occupies."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def is_empty(store: InstrumentedStore) -> bool:
    return not list(store.list("videos/")) and not list(store.list_multiparts("videos/"))


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART, 10 * PART + 7])
@pytest.mark.parametrize("step", [1, 333, PART, 2500])
def test_writes_of_any_size_are_stored_completely(store: InstrumentedStore, size: int, step: int) -> None:
    data = bytes(number % 251 for number in range(size))
    run_upload(store, write(data, step=step))
    assert store.get(KEY) == data
    assert not list(store.list_multiparts("videos/"))


def test_a_small_object_is_stored_in_one_request(store: InstrumentedStore) -> None:
    run_upload(store, write(b"x" * (PART - 1), step=100))
    assert store.parts == []


def test_parts_have_the_part_size_of_the_store(store: InstrumentedStore) -> None:
    run_upload(store, write(b"x" * (2 * PART + 5), step=7))
    assert sorted(store.parts) == [5, PART, PART]


def test_write_waits_while_all_of_its_parts_are_on_their_way(store: InstrumentedStore) -> None:
    store.gate.clear()

    async def scenario(incoming: IncomingObject) -> None:
        writing = asyncio.create_task(incoming.write(b"x" * 20 * PART))
        for _ in range(3):
            assert await asyncio.to_thread(store.started.acquire, timeout=60)
        await asyncio.sleep(0.2)  # for one too many to begin
        assert store.peak_parts == 3
        assert not writing.done()
        writing.cancel()
        store.gate.set()
        await incoming.abort()

    run_upload(store, scenario, parallel=3)


def test_all_uploads_share_the_memory_of_the_pool(store: InstrumentedStore, tmp_path: Path) -> None:
    async def scenario() -> None:
        pool = UploadPool(8, memory_bytes=2 * PART)
        incoming = [IncomingObject(store, f"videos/{n}", "", pool=pool, parallel_parts=4) for n in range(4)]
        await asyncio.gather(*(each.write(b"x" * 10 * PART) for each in incoming))
        await asyncio.gather(*(each.finish() for each in incoming))

    asyncio.run(scenario())
    assert store.peak_parts <= 2
    assert len(list(store.list("videos/"))) == 4


@pytest.mark.parametrize("fail_at", [1, 5, 9])
def test_a_failed_part_raises_and_nothing_stays_stored(store: InstrumentedStore, fail_at: int) -> None:
    store.fail_at = fail_at

    async def scenario(incoming: IncomingObject) -> None:
        with pytest.raises(StorageUnavailable):
            await write(b"x" * (8 * PART + 1), step=100)(incoming)
        await incoming.abort()

    run_upload(store, scenario)
    assert is_empty(store)


def test_abort_deletes_everything_at_every_stage(store: InstrumentedStore) -> None:
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
        run_upload(store, scenario)
        assert is_empty(store)
        with pytest.raises(ObjectNotFound):
            store.head(KEY)
