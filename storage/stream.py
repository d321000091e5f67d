"""Storing bytes as they arrive on an event loop, in constant memory, however many there are."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from storage.protocol import ObjectStore, Stored

Params = ParamSpec("Params")
Result = TypeVar("Result")


class Lanes:
    """The threads of a process that send parts, and so the most parts it holds in memory besides those being filled."""

    def __init__(self, count: int) -> None:
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="store")
        self.free = asyncio.Semaphore(count)

    async def run(self, work: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs) -> Result:
        """Do blocking work on one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*args, **kwargs))


class IncomingObject:
    """One object on its way in. `write` waits while enough parts are under way: that is the backpressure."""

    def __init__(self, store: ObjectStore, key: str, content_type: str, *, lanes: Lanes, parallel_parts: int) -> None:
        self._store = store
        self._key = key
        self._content_type = content_type
        self._lanes = lanes
        self._own = asyncio.Semaphore(parallel_parts)
        self._part = bytearray(store.part_bytes)  # of its full size at once: growing would copy it again and again
        self._filled = 0
        self._upload_id: str | None = None
        self._touched = False
        self._begun = 0
        self._sending: set[asyncio.Task[None]] = set()
        self._etags: dict[int, str] = {}

    async def write(self, data: bytes | memoryview) -> None:
        """Take more bytes. Raises what an earlier part failed with."""
        view = memoryview(data)
        while view:
            taken = view[: len(self._part) - self._filled]
            self._part[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            view = view[len(taken) :]
            if self._filled == len(self._part):
                await self._send_part()

    async def finish(self) -> Stored:
        """Store what is left and make the object appear. Small ones are stored whole."""
        self._touched = True
        if self._upload_id is None:
            return await self._lanes.run(self._store.put, self._key, self._take_part(), self._content_type)
        if self._filled:
            await self._send_part()
        await asyncio.gather(*self._sending)
        etags = [self._etags[number] for number in range(1, self._begun + 1)]
        return await self._lanes.run(self._store.complete_multipart, self._key, self._upload_id, etags)

    async def abort(self) -> None:
        """Leave nothing of it in the store, whatever was reached; parts under way cannot be called back, so wait."""
        await asyncio.gather(*self._sending, return_exceptions=True)
        if self._upload_id is not None:
            await self._lanes.run(self._store.abort_multipart, self._key, self._upload_id)
        if self._touched:
            await self._lanes.run(self._store.delete, [self._key])

    async def _send_part(self) -> None:
        part = self._take_part()
        if self._upload_id is None:
            self._upload_id = await self._lanes.run(self._store.begin_multipart, self._key, self._content_type)
        await self._own.acquire()
        await self._lanes.free.acquire()
        self._begun += 1
        self._sending.add(asyncio.create_task(self._put_part(self._upload_id, self._begun, part)))
        self._forget_sent()

    def _take_part(self) -> bytearray:
        part, self._part = self._part, bytearray(self._store.part_bytes)
        del part[self._filled :]
        self._filled = 0
        return part

    async def _put_part(self, upload_id: str, number: int, part: bytearray) -> None:
        try:
            self._etags[number] = await self._lanes.run(self._store.put_part, self._key, upload_id, number, part)
        finally:
            self._lanes.free.release()
            self._own.release()

    def _forget_sent(self) -> None:
        for task in [task for task in self._sending if task.done()]:
            task.result()
            self._sending.discard(task)
