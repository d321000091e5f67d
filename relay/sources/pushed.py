"""A source that its viewer sends, in the body of the request."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Iterator

from relay.errors import SessionEnded, SourceSilent
from relay.sources.pace import Pace
from relay.sources.sniffing import SNIFFING_STEP, container_of
from relay.sources.source import SourceLimits, SourceStats

AHEAD_BYTES = 1 << 20
"""The client waits when so much of what it sent is not read yet."""
_LOOK_SECONDS = 0.25


class PushedSource:
    """Bytes that the event loop adds, and a thread takes."""

    def __init__(self, *, silence_seconds: float) -> None:
        self.container = ""
        self.stats = SourceStats()
        self._silence_seconds = silence_seconds
        self._pace = Pace(SourceLimits())
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._changed = threading.Condition()
        self._blocks: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._finished = False
        self._closed = False

    async def push(self, data: bytes) -> None:
        """Add bytes, and wait until there is room for more, and they did not come too fast."""
        with self._changed:
            if self._closed:
                return
            self._blocks.append(data)
            self._waiting_bytes += len(data)
            self.stats.bytes += len(data)
            full = self._waiting_bytes >= AHEAD_BYTES
            if full:
                self._room.clear()
            self._changed.notify_all()
        if full:
            await self._room.wait()
        await asyncio.sleep(self._pace.take(len(data)))

    def finish(self) -> None:
        """Have the source end after what was added."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def opened(self, ended: threading.Event) -> "PushedSource":
        """Wait for the first bytes, in a thread; for no longer than until `ended`. Raises RelayError."""
        head, enough = b"", SNIFFING_STEP
        while True:
            block = self._take(ended)
            if block is None and (ended.is_set() or self._closed):
                raise SessionEnded("the session was ended")
            head += block or b""
            if block is not None and len(head) < enough:
                continue
            enough = len(head) + SNIFFING_STEP
            if container := container_of(head, ended=block is None):
                self.container = container
                with self._changed:
                    self._blocks.appendleft(head)
                    self._waiting_bytes += len(head)
                return self

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes, in one thread. Raises SourceSilent."""
        while (block := self._take(None)) is not None:
            yield block

    def close(self) -> None:
        """End `blocks`, and let nobody wait any more."""
        with self._changed:
            self._closed = True
            self._blocks.clear()
            self._changed.notify_all()
        self._make_room()

    def _take(self, ended: threading.Event | None) -> bytes | None:
        """Wait for a block. None: there is no more. Raises SourceSilent."""
        waited = 0.0
        with self._changed:
            while not self._blocks:
                if self._closed or self._finished or (ended and ended.is_set()):
                    return None
                if waited >= self._silence_seconds:
                    raise SourceSilent(f"the body brought nothing for {self._silence_seconds:g} s")
                waited += 0.0 if self._changed.wait(_LOOK_SECONDS) else _LOOK_SECONDS
            block = self._blocks.popleft()
            self._waiting_bytes -= len(block)
            has_room = self._waiting_bytes < AHEAD_BYTES
        if has_room:
            self._make_room()
        return block

    def _make_room(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends
            self._loop.call_soon_threadsafe(self._room.set)
