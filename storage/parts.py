"""Parts of multipart uploads: their size, and the memory of those on their way."""

import asyncio
import mmap
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

MAX_PARTS = 10_000
"""Limit of a multipart upload, from S3's API reference."""
_STEP_BYTES = 1 << 20


def part_bytes_for(size: int, least: int) -> int:
    """Return the bytes of each part but the last of an object of at most `size` bytes: `least`, if so few parts do."""
    if size <= MAX_PARTS * least:
        return least
    return -(-size // (MAX_PARTS * _STEP_BYTES)) * _STEP_BYTES


class PartBuffer:
    """Bytes of a part as they arrive, in pages of their own, which the system has back when nobody uses it any more.

    A bytearray would grow by copies of itself, and leave holes in the heap that no other part fits into.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._length = 0
        self._memory: mmap.mmap | None = None  # many clients may open a request and send nothing

    def __len__(self) -> int:
        return self._length

    @property
    def full(self) -> bool:
        return self._length == self._size

    @property
    def data(self) -> memoryview:
        """The bytes so far. They stay as they are while others are appended."""
        return memoryview(self._memory or b"")[: self._length]

    def take(self, data: memoryview) -> memoryview:
        """Append what fits of some bytes, and return the rest of them."""
        if self._memory is None:
            self._memory = mmap.mmap(-1, self._size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        taken = data[: self._size - self._length]
        end = self._length + len(taken)
        self._memory[self._length : end] = taken
        self._length = end
        return data[len(taken) :]


class MemoryBudget:
    """Bytes that may be in memory at a time, for one event loop. Those who wait get theirs in the order they came."""

    def __init__(self, total: int) -> None:
        self._total = self._free = total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def acquire(self, size: int) -> None:
        """Wait for so many bytes; who needs more than there are gets all of them."""
        size = min(size, self._total)
        if not self._waiting and size <= self._free:
            self._free -= size
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._free += size
            self._admit()
            raise

    def release(self, size: int) -> None:
        """Release what `acquire` got for this size."""
        self._free += min(size, self._total)
        self._admit()

    @asynccontextmanager
    async def held(self, size: int) -> AsyncGenerator[None]:
        """Hold so many bytes."""
        await self.acquire(size)
        try:
            yield
        finally:
            self.release(size)

    def _admit(self) -> None:
        while self._waiting:
            size, turn = self._waiting[0]
            if turn.cancelled():
                self._waiting.popleft()
            elif size <= self._free:
                self._waiting.popleft()
                self._free -= size
                turn.set_result(None)
            else:
                return
