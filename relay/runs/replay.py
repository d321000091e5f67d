"""Bytes of a source between the thread that fetches them and the engines that may be tried on them."""

import threading
from collections import deque
from collections.abc import Iterator

REPLAY_BYTES = 8 << 20
"""As much of a source is kept for the next engine, until viewers get something."""
AHEAD_BYTES = 1 << 20
"""The source waits when the engine is so far behind."""


class ReplayBuffer:
    """Blocks of a source, in order: written by one thread, read by another one, again by the next one if need be."""

    def __init__(self, *, replay_bytes: int = REPLAY_BYTES, ahead_bytes: int = AHEAD_BYTES) -> None:
        self._replay_bytes = replay_bytes
        self._ahead_bytes = ahead_bytes
        self._changed = threading.Condition()
        self._blocks: deque[bytes] = deque()
        self._first = 0
        self._next = 0
        self._reader = 0
        self._waiting_bytes = 0
        self._held_bytes = 0
        self._keeps = True
        self._ended = False
        self._closed = False

    @property
    def complete(self) -> bool:
        """Tell whether a reader can still have all of it, from the first byte on."""
        return self._first == 0

    def write(self, block: bytes) -> bool:
        """Add a block, once the reader is near enough. False: nobody will read it any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting_bytes < self._ahead_bytes)
            if self._closed:
                return False
            self._blocks.append(block)
            self._waiting_bytes += len(block)
            self._held_bytes += len(block)
            self._changed.notify_all()
            return True

    def end(self) -> None:
        """Have readers end after the last block."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        """Have the writer and all readers end at once."""
        with self._changed:
            self._closed = True
            self._blocks.clear()
            self._changed.notify_all()

    def interrupt(self) -> None:
        """Have the reader of this moment end; the next one starts at the first byte."""
        with self._changed:
            self._reader += 1
            self._changed.notify_all()

    def forget(self) -> None:
        """Keep nothing any more that was read."""
        with self._changed:
            self._keeps = False
            self._drop_read()

    def read(self) -> Iterator[bytes]:
        """Yield the blocks from the first one on. An earlier reader ends: there is one at a time."""
        with self._changed:
            self._reader += 1
            reader = self._reader
            self._next = self._first
            self._waiting_bytes = sum(map(len, self._blocks))
            self._changed.notify_all()
        return self._read(reader)

    def _read(self, reader: int) -> Iterator[bytes]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_over(reader) or self._next - self._first < len(self._blocks))
                if self._closed or self._reader != reader or self._next - self._first >= len(self._blocks):
                    return
                block = self._blocks[self._next - self._first]
                self._next += 1
                self._waiting_bytes -= len(block)
                if self._held_bytes > self._replay_bytes:
                    self._keeps = False
                self._drop_read()
                self._changed.notify_all()
            yield block

    def _is_over(self, reader: int) -> bool:
        return self._closed or self._ended or self._reader != reader

    def _drop_read(self) -> None:
        if self._keeps:
            return
        while self._first < self._next:
            self._held_bytes -= len(self._blocks.popleft())
            self._first += 1
