"""The bytes of one request on their way into the multipart upload of a tus upload."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from storage.keys import source_key, tail_key
from storage.parts import PartBuffer
from storage.protocol import ObjectStore
from storage.stream import PartSender, UploadPool
from videos.uploads.incoming import STORED_TYPE

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An upload under a lock, to which a request appends."""

    video_id: UUID
    multipart_id: str
    part_bytes: int
    received_bytes: int
    part_etags: Sequence[str]
    """Of the parts before."""
    tail_key: str
    """Object with the bytes after the last part. Empty: there are none."""
    lock: int

    @property
    def key(self) -> str:
        return source_key(self.video_id)


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes that are in the store and would outlive this process."""

    received_bytes: int
    part_etags: Sequence[str] = ()
    tail_bytes: int = 0
    tail_key: str = ""


class Appending:
    """Bytes that are appended to an upload. `write` waits while the pool has no memory for a part: the backpressure.

    Full parts are sent at once. The rest is stored by `store_tail`, or by `store_last_part` when nothing follows it.
    """

    def __init__(self, store: ObjectStore, target: Target, *, pool: UploadPool, parallel_parts: int) -> None:
        self._store = store
        self._target = target
        self._pool = pool
        self._sender = PartSender(store, target.key, pool=pool, parallel_parts=parallel_parts)
        self._part = PartBuffer(target.part_bytes)
        self._part_start = target.received_bytes
        self._sending: deque[tuple[int, Future[str]]] = deque()
        self._etags = list(target.part_etags)
        self._tail_bytes = target.received_bytes - len(self._etags) * target.part_bytes
        self._stored = Stored(target.received_bytes, tuple(self._etags), self._tail_bytes, target.tail_key)
        self._waits = 0

    async def open(self) -> None:
        """Fetch the bytes that an earlier request left over."""
        target = self._target
        if target.tail_key:
            self._part.take(memoryview(await self._in_pool(lambda: self._store.get(target.tail_key), self._tail_bytes)))
            self._part_start -= len(self._part)

    @property
    def waits_for_store(self) -> bool:
        """It is the store that is slow, and not the client."""
        return self._waits > 0

    @property
    def received_bytes(self) -> int:
        """Length of the upload with everything that has arrived, stored or not."""
        return self._part_start + len(self._part)

    @property
    def stored(self) -> Stored:
        """Bytes that are stored by now, without a gap."""
        while self._sending and self._sending[0][1].done() and not self._sending[0][1].exception():
            end, sent = self._sending.popleft()
            self._etags.append(sent.result())
            self._stored = Stored(end, tuple(self._etags))
        return self._stored

    async def write(self, data: memoryview) -> None:
        """Append bytes. Raises the error of an earlier part."""
        while data:
            data = self._part.take(data)
            if self._part.full:
                await self._send_part()

    async def wait(self) -> None:
        """Wait for the parts on their way. Raises the error of one of them."""
        await asyncio.gather(*(asyncio.wrap_future(part) for _, part in self._sending), return_exceptions=True)
        self._sender.check()

    async def store_tail(self) -> None:
        """Store the rest as an object of its own, from which any process can go on. `write` may be called meanwhile."""
        if self._part.full:  # it was about to be sent
            await self._send_part()
        await self.wait()
        received, data = self.received_bytes, self._part.data
        if not data or received == self.stored.received_bytes:
            return
        key = tail_key(self._target.video_id, received, self._target.lock)
        await self._in_pool(lambda: self._store.put(key, data, STORED_TYPE), len(data))
        if received > self.stored.received_bytes:  # else it has become a part meanwhile
            self._stored = Stored(received, self._stored.part_etags, len(data), key)

    async def store_last_part(self) -> None:
        """Store the rest as the last part of the upload."""
        if self._part:
            await self._send_part()
        await self.wait()

    async def _send_part(self) -> None:
        number = self._part_start // self._target.part_bytes + 1
        part, self._part = self._part, PartBuffer(self._target.part_bytes)
        self._part_start += len(part)
        try:
            with self._waiting():
                sending = await self._sender.send(self._target.multipart_id, number, part.data)
        except BaseException:  # cancelled: what has arrived is still to be stored
            self._part, self._part_start = part, self._part_start - len(part)
            raise
        self._sending.append((self._part_start, sending))
        self._sender.check()

    async def _in_pool(self, call: Callable[[], Result], size: int) -> Result:
        """Call the store on a thread of the pool, with so many bytes in memory."""
        with self._waiting():
            async with self._pool.memory.held(size):
                return await asyncio.wrap_future(self._pool.submit(call))

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        self._waits += 1
        try:
            yield
        finally:
            self._waits -= 1
