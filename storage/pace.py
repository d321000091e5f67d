"""Requests that crawl: they are given up, since another connection may be better."""

import time
from collections.abc import Callable

CRAWL_SECONDS = 10.0
CRAWL_BYTES_PER_SECOND = 50_000
"""A connection that moves less than this for `CRAWL_SECONDS` is broken rather than slow."""
GIVE_UPS = 2
"""Of one request. Where even its third connection crawls, the link itself is slow, and the request gets its time."""


class Crawling(Exception):
    """A connection moves next to nothing."""


class Pace:
    """Speed of one request's connections, measured in windows of `CRAWL_SECONDS`.

    Only seconds that were spent on the network count: a slow reader of ours is not the store's fault.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left = GIVE_UPS
        self._bytes = 0
        self._seconds = 0.0
        self._since = clock()

    def restart(self) -> None:
        """Begin a window, for a new connection."""
        self._bytes, self._seconds = 0, 0.0
        self._since = self._clock()

    def begin(self) -> None:
        """Count the seconds from now on."""
        self._since = self._clock()

    def moved(self, count: int) -> None:
        """Count bytes that were moved since `begin`, or since the last call. Raises Crawling."""
        now = self._clock()
        self._seconds += now - self._since
        self._since = now
        self._bytes += count
        if self._seconds < CRAWL_SECONDS:
            return
        crawls = self._bytes < self._seconds * CRAWL_BYTES_PER_SECOND
        self.restart()
        if crawls and self._left:
            self._left -= 1
            raise Crawling(f"less than {CRAWL_BYTES_PER_SECOND} bytes per second for {CRAWL_SECONDS:g} s")
