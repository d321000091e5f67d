"""Bodies of requests: bytes that are sent in small blocks, and whose request is given up when it crawls."""

import os
import time
from collections.abc import Callable

from storage.pace import Pace
from storage.protocol import Bytes

_BLOCK_BYTES = 128 * 1024
"""Of one write to the socket, which times out as a whole: small enough for a slow link to take it in that time."""


class Body:
    """Bytes as a file, which botocore rewinds when it repeats a request. They are not copied."""

    def __init__(self, data: Bytes, clock: Callable[[], float] = time.monotonic) -> None:
        self._data = memoryview(data)
        self._position = 0
        self._handed_out = 0
        self._pace = Pace(clock)

    def __len__(self) -> int:
        return len(self._data)

    def getbuffer(self) -> memoryview:
        """Return all of the bytes."""
        return self._data

    def read(self, size: int = -1) -> memoryview:
        """Return the next block; the one before was sent by now. Raises Crawling."""
        if self._handed_out:
            self._pace.moved(self._handed_out)
        else:
            self._pace.restart()
        length = _BLOCK_BYTES if size < 0 else min(size, _BLOCK_BYTES)
        block = self._data[self._position : self._position + length]
        self._position += len(block)
        self._handed_out = len(block)
        return block

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: len(self._data)}[whence]
        self._position = max(0, base + offset)
        self._handed_out = 0
        return self._position
