"""Streaming upload from an event loop into the store, in constant memory."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, ParamSpec, TypeVar

from storage.parts import MemoryBudget, PartBuffer
from storage.protocol import Bytes, ObjectStore, StoredObject

Params = ParamSpec("Params")
Result = TypeVar("Result")


class UploadPool:
    """Threads of a process that send parts to the store, and the memory for those parts.

    Besides, each upload has one part that is being filled.
    """

    def __init__(self, count: int, *, memory_bytes: int) -> None:
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="store")
        self.memory = MemoryBudget(memory_bytes)

    def submit(self, work: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs) -> Future[Result]:
        """Run blocking work on a thread. It runs to its end even when the event loop ends first."""
        return self._threads.submit(work, *args, **kwargs)


class PartSender:
    """Sends the parts of an object in the background. `send` waits until there is memory for it: the backpressure."""

    def __init__(self, store: ObjectStore, key: str, *, pool: UploadPool, parallel_parts: int) -> None:
        self._store = store
        self._key = key
        self._pool = pool
        self._own_slots = asyncio.Semaphore(parallel_parts)
        self._failure: BaseException | None = None

    async def send(self, upload_id: str, number: int, data: Bytes) -> Future[str]:
        """Start to send a part as soon as there is room for it among those on their way."""
        await self._own_slots.acquire()
        try:
            await self._pool.memory.acquire(len(data))
        except BaseException:
            self._own_slots.release()
            raise
        size = len(data)
        sending = self._pool.submit(self._store.put_part, self._key, upload_id, number, data)
        loop = asyncio.get_running_loop()
        sending.add_done_callback(lambda sent: _on_loop(loop, lambda: self._sent(sent, size)))
        return sending

    def check(self) -> None:
        """Raise the error of the first part that failed."""
        if self._failure is not None:
            raise self._failure

    def _sent(self, part: Future[str], size: int) -> None:
        self._pool.memory.release(size)
        self._own_slots.release()
        self._failure = self._failure or part.exception()


class IncomingObject:
    """An object that is being received. `write` waits while there is no memory for a part, which is the backpressure.

    `part_bytes`: of its parts; None: those of the store.
    """

    def __init__(  # noqa: PLR0913 - all that it works with
        self,
        store: ObjectStore,
        key: str,
        content_type: str,
        *,
        pool: UploadPool,
        parallel_parts: int,
        part_bytes: int | None = None,
    ) -> None:
        self._store = store
        self._key = key
        self._content_type = content_type
        self._pool = pool
        self._sender = PartSender(store, key, pool=pool, parallel_parts=parallel_parts)
        self._part_bytes = part_bytes or store.part_bytes
        self._part = PartBuffer(self._part_bytes)
        self._upload: Future[str] | None = None
        self._parts: list[Future[str]] = []
        self._object: Future[StoredObject] | None = None

    async def write(self, data: bytes | memoryview) -> None:
        """Append bytes. Raises the error of an earlier part."""
        view = memoryview(data)
        while view:
            view = self._part.take(view)
            if self._part.full:
                await self._send_part()

    async def finish(self) -> StoredObject:
        """Store the last part and complete the object. Objects below `part_bytes` need one request."""
        if self._upload is None:
            self._object = self._pool.submit(self._store.put, self._key, self._take_part(), self._content_type)
        else:
            if self._part:
                await self._send_part()
            etags = await asyncio.gather(*(asyncio.wrap_future(part) for part in self._parts))
            self._object = self._pool.submit(
                self._store.complete_multipart, self._key, await asyncio.wrap_future(self._upload), etags
            )
        return await asyncio.wrap_future(self._object)

    async def abort(self) -> None:
        """Delete everything of it from the store. Continues in a thread when this coroutine is cancelled."""
        await asyncio.shield(asyncio.wrap_future(self._pool.submit(self._remove)))

    def _remove(self) -> None:
        """Wait for the running calls, which cannot be cancelled, and delete what they stored.

        They were submitted before this one, so each has a thread and waiting on a thread of the pool cannot deadlock.
        """
        calls: list[Future[Any] | None] = [self._upload, *self._parts, self._object]
        wait(call for call in calls if call is not None)
        if self._upload is not None and self._upload.exception() is None:
            self._store.abort_multipart(self._key, self._upload.result())
        if self._object is not None:
            self._store.delete([self._key])

    async def _send_part(self) -> None:
        part = self._take_part()
        if self._upload is None:
            self._upload = self._pool.submit(
                self._store.create_multipart, self._key, self._content_type, part_bytes=self._part_bytes
            )
        upload_id = await asyncio.wrap_future(self._upload)
        self._parts.append(await self._sender.send(upload_id, len(self._parts) + 1, part))
        self._sender.check()

    def _take_part(self) -> memoryview:
        part, self._part = self._part, PartBuffer(self._part_bytes)
        return part.data


def _on_loop(loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(action)
