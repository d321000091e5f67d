"""Bytes of one tus request on their way into a local store."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import pytest

from storage.errors import StorageUnavailable
from storage.keys import source_key, tails_prefix
from storage.local import LocalStore
from storage.protocol import Bytes
from storage.stream import UploadPool
from videos.uploads.tus.appending import Appending, Stored, Target

PART = 1000
VIDEO = UUID(int=7)
DATA = bytes(number % 251 for number in range(10 * PART))


class FailingStore(LocalStore):
    """Local store that holds parts back, and fails one of them."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, part_bytes=PART)
        self.fail_at: int | None = None
        self.gate = threading.Event()
        self.gate.set()

    def put_part(self, key: str, upload_id: str, number: int, data: Bytes) -> str:
        assert self.gate.wait(60)
        if number == self.fail_at:
            raise StorageUnavailable(key, "on purpose")
        return super().put_part(key, upload_id, number, data)


@pytest.fixture
def store(tmp_path: Path) -> FailingStore:
    return FailingStore(tmp_path)


@pytest.fixture
def multipart_id(store: FailingStore) -> str:
    return store.create_multipart(source_key(VIDEO), "x/y")


Scenario = Callable[[Appending], Awaitable[object]]


def append(
    store: FailingStore, multipart_id: str, scenario: Scenario, *, after: Stored | None = None, lock: int = 1
) -> Stored:
    """Run a request after what an earlier one stored, and return what is stored then."""
    before = after or Stored(0)

    async def run() -> Stored:
        target = Target(
            video_id=VIDEO,
            multipart_id=multipart_id,
            part_bytes=PART,
            received_bytes=before.received_bytes,
            part_etags=before.part_etags,
            tail_key=before.tail_key,
            lock=lock,
        )
        appending = Appending(store, target, pool=UploadPool(4, memory_bytes=4 * PART), parallel_parts=2)
        await appending.open()
        await scenario(appending)
        return appending.stored

    return asyncio.run(run())


def writes(data: bytes, *, step: int = 300, last: bool = False) -> Scenario:
    async def scenario(appending: Appending) -> None:
        for start in range(0, len(data), step):
            await appending.write(memoryview(data)[start : min(start + step, len(data))])
        await (appending.store_last_part() if last else appending.store_tail())

    return scenario


@pytest.mark.parametrize("cuts", [[], [1], [999], [1000], [1001], [1, 2, 3, 4], [2500, 2501, 7000, 9999]])
def test_requests_of_any_length_make_one_object(store: FailingStore, multipart_id: str, cuts: list[int]) -> None:
    stored = Stored(0)
    ends = [*cuts, len(DATA)]
    for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        scenario = writes(DATA[start:end], last=end == len(DATA))
        stored = append(store, multipart_id, scenario, after=stored, lock=number)
        assert (stored.received_bytes, bool(stored.tail_key)) == (end, end % PART > 0)
        assert stored.tail_bytes == end % PART
    store.complete_multipart(source_key(VIDEO), multipart_id, stored.part_etags)
    assert store.get(source_key(VIDEO)) == DATA


def test_the_last_part_may_be_short(store: FailingStore, multipart_id: str) -> None:
    stored = append(store, multipart_id, writes(DATA[:2300]))
    assert (stored.received_bytes, stored.tail_bytes) == (2300, 300)
    last = append(store, multipart_id, writes(b"", last=True), after=stored)
    assert (last.received_bytes, last.tail_bytes, last.tail_key, len(last.part_etags)) == (2300, 0, "", 3)
    assert [part.size for part in store.list_parts(source_key(VIDEO), multipart_id)] == [PART, PART, 300]


def test_a_tail_may_be_stored_again_and_again_and_each_has_its_key(store: FailingStore, multipart_id: str) -> None:
    keys = set()

    async def scenario(appending: Appending) -> None:
        for start in range(0, 2500, 250):
            await appending.write(memoryview(DATA)[start : start + 250])
            await appending.store_tail()
            await appending.store_tail()
            assert appending.stored.received_bytes == start + 250
            keys.add(appending.stored.tail_key)

    append(store, multipart_id, scenario)
    assert {found.key for found in store.list(tails_prefix(VIDEO))} == keys - {""}
    assert len(keys) == 9  # two of ten ended a part


def test_what_follows_a_part_that_failed_is_not_counted(store: FailingStore, multipart_id: str) -> None:
    store.fail_at = 2

    async def scenario(appending: Appending) -> None:
        with pytest.raises(StorageUnavailable):
            await writes(DATA)(appending)
        with pytest.raises(StorageUnavailable):
            await appending.store_tail()

    stored = append(store, multipart_id, scenario)
    assert (stored.received_bytes, len(stored.part_etags), stored.tail_key) == (PART, 1, "")
    assert not list(store.list(tails_prefix(VIDEO)))


def test_a_request_that_is_cancelled_while_it_waits_for_the_store_keeps_what_arrived(
    store: FailingStore, multipart_id: str
) -> None:
    store.gate.clear()

    async def scenario(appending: Appending) -> None:
        writing = asyncio.ensure_future(appending.write(memoryview(DATA)))
        for _ in range(100):  # two parts are on their way before the loop comes round again
            await asyncio.sleep(0)
        assert appending.waits_for_store
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        assert appending.received_bytes == 3 * PART  # two are on their way, and the third waited
        store.gate.set()
        await appending.store_tail()

    assert append(store, multipart_id, scenario).received_bytes == 3 * PART
    parts = list(store.list_parts(source_key(VIDEO), multipart_id))
    assert [(part.number, part.size) for part in parts] == [(1, PART), (2, PART), (3, PART)]


def test_bytes_may_arrive_while_the_tail_is_being_stored(store: FailingStore, multipart_id: str) -> None:
    async def scenario(appending: Appending) -> None:
        await appending.write(memoryview(DATA)[:1500])
        storing = asyncio.ensure_future(appending.store_tail())
        for start in range(1500, 4000, 100):
            await appending.write(memoryview(DATA)[start : start + 100])
            await asyncio.sleep(0)
        await storing
        await appending.wait()

    stored = append(store, multipart_id, scenario)
    assert stored.received_bytes == 4000
    assert stored.tail_key == ""
