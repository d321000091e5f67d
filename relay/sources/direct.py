"""A stream that is the body of one response. A connection that breaks is replaced by another one."""

import time
from collections.abc import Generator, Iterator

from relay.errors import SourceEnded, SourceError, SourceRefused
from relay.sources.alignment import alignment_of
from relay.sources.fetching import Connection, Fetcher

FIRST_PAUSE_SECONDS = 0.2
MAX_PAUSE_SECONDS = 2.0


class Direct:
    """The bytes of a stream, across reconnections."""

    def __init__(self, fetcher: Fetcher, url: str, connection: Connection, container: str) -> None:
        self._fetcher = fetcher
        self._url = url
        self._connection = connection
        self._alignment = alignment_of(container)
        self._latest = time.monotonic()
        """Time of the last bytes, or of their acceptance by the reader."""
        self._pause = FIRST_PAUSE_SECONDS

    def blocks(self) -> Iterator[bytes]:
        """Yield whole units of the container. Raises SourceError when no connection brings any more of them."""
        while True:
            started = time.monotonic()
            try:
                if (yield from self._connected()):
                    return
                failure: SourceError = SourceEnded("the source ended")
            except SourceError as error:
                failure = error
            if time.monotonic() - started > MAX_PAUSE_SECONDS:
                self._pause = FIRST_PAUSE_SECONDS
            self._reconnect(failure)

    def close(self) -> None:
        """Close the connection. Not while another thread reads `blocks`."""
        self._connection.close()

    def _connected(self) -> Generator[bytes, None, bool]:
        """Yield what one connection brings. Returns whether it was something, so that its end is that of the stream."""
        brought = False
        for block in self._connection.blocks():
            if units := self._alignment.feed(block):
                brought = True
                yield units
                self._latest = time.monotonic()
        return brought

    def _reconnect(self, failure: SourceError) -> None:
        """Connect again. Raises the last failure when there were no bytes for too long."""
        self._connection.close()
        self._alignment.restart()
        while True:
            left = self._latest + self._fetcher.limits.silence_seconds - time.monotonic()
            if left <= 0:
                raise failure
            self._fetcher.pause(min(self._pause, left))
            self._pause = min(2 * self._pause, MAX_PAUSE_SECONDS)
            try:
                idle_seconds = max(0.1, min(self._fetcher.limits.stall_seconds, left))
                self._connection = self._fetcher.connect(self._url, idle_seconds=idle_seconds)
            except SourceRefused:
                raise
            except SourceError as error:
                failure = error
            else:
                self._fetcher.stats.reconnects += 1
                return
