"""Pace of sources: who sends faster than any live stream waits."""

import time
from collections.abc import Callable

from relay.sources.source import SourceLimits

REQUEST_BYTES = 64 << 10
"""A request counts as so many bytes: about 200 a second are no live stream either."""


class Pace:
    """A bucket of bytes, which fills with time. For one thread."""

    def __init__(self, limits: SourceLimits, *, now: Callable[[], float] = time.monotonic) -> None:
        self._per_second = limits.bytes_per_second
        self._burst = self._left = float(limits.burst_bytes)
        self._now = now
        self._at = now()

    def take(self, amount: int) -> float:
        """Take bytes, and return the seconds to wait before the next ones."""
        now = self._now()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second) - amount
        self._at = now
        return max(0.0, -self._left / self._per_second)
