"""Storing bytes as they arrive on an event loop, in constant memory, however many there are."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, ParamSpec, TypeVar

from storage.protocol import ObjectStore, Stored

Params = ParamSpec("Params")
Result = TypeVar("Result")


class Lanes:
    """The threads of a process that send parts, and so the most parts it holds in memory besides those being filled."""

    def __init__(self, count: int) -> None:
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="store")
        self.free = asyncio.Semaphore(count)

    def begin(self, work: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs) -> Future[Result]:
        """Do blocking work on one of the threads. What has begun ends, even when the event loop ends first."""
        return self._threads.submit(work, *args, **kwargs)


class IncomingObject:
    """One object on its way in. `write` waits while enough parts are under way: that is the backpressure."""

    def __init__(self, store: ObjectStore, key: str, content_type: str, *, lanes: Lanes, parallel_parts: int) -> None:
        self._store = store
        self._key = key
        self._content_type = content_type
        self._lanes = lanes
        self._own = asyncio.Semaphore(parallel_parts)
        self._part = bytearray()  # grows with what comes: many clients may begin, and then send nothing
        self._upload: Future[str] | None = None
        self._parts: list[Future[str]] = []
        self._whole: Future[Stored] | None = None
        self._failure: BaseException | None = None

    async def write(self, data: bytes | memoryview) -> None:
        """Take more bytes. Raises what an earlier part failed with."""
        view = memoryview(data)
        while view:
            taken = view[: self._store.part_bytes - len(self._part)]
            self._part += taken
            view = view[len(taken) :]
            if len(self._part) == self._store.part_bytes:
                await self._send_part()

    async def finish(self) -> Stored:
        """Store what is left and make the object appear. Small ones are stored whole."""
        if self._upload is None:
            self._whole = self._lanes.begin(self._store.put, self._key, self._take_part(), self._content_type)
        else:
            if self._part:
                await self._send_part()
            etags = await asyncio.gather(*(asyncio.wrap_future(part) for part in self._parts))
            self._whole = self._lanes.begin(
                self._store.complete_multipart, self._key, await asyncio.wrap_future(self._upload), etags
            )
        return await asyncio.wrap_future(self._whole)

    async def abort(self) -> None:
        """Leave nothing of it in the store, whatever was reached. Goes on in a thread when the waiting is cancelled."""
        await asyncio.shield(asyncio.wrap_future(self._lanes.begin(self._remove)))

    def _remove(self) -> None:
        """What is under way cannot be called back, so wait for it: it was begun before this and has its thread."""
        calls: list[Future[Any] | None] = [self._upload, *self._parts, self._whole]
        wait(call for call in calls if call is not None)
        if self._upload is not None and self._upload.exception() is None:
            self._store.abort_multipart(self._key, self._upload.result())
        if self._whole is not None:
            self._store.delete([self._key])

    async def _send_part(self) -> None:
        part = self._take_part()
        if self._upload is None:
            self._upload = self._lanes.begin(self._store.begin_multipart, self._key, self._content_type)
        upload_id = await asyncio.wrap_future(self._upload)
        await self._own.acquire()
        await self._lanes.free.acquire()
        sending = self._lanes.begin(self._store.put_part, self._key, upload_id, len(self._parts) + 1, part)
        self._parts.append(sending)
        loop = asyncio.get_running_loop()
        sending.add_done_callback(lambda sent: _on_loop(loop, lambda: self._sent(sent)))
        if self._failure is not None:
            raise self._failure

    def _take_part(self) -> bytearray:
        part, self._part = self._part, bytearray()
        return part

    def _sent(self, part: Future[str]) -> None:
        self._lanes.free.release()
        self._own.release()
        self._failure = self._failure or part.exception()


def _on_loop(loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
        loop.call_soon_threadsafe(action)
