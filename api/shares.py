"""Shares of the processor: a party that takes more than a share of it, while others are served, is held back.

One process handles the requests of all parties, and most of the time in which a request is handled is processor time.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

SHARE = 0.25
"""Seconds of processor time per second that one party may use while others are served."""
BURST_SECONDS = 0.5
"""Processor time that it may use beyond its share at once, such as a page that requests ten lists."""
PRESENT_SECONDS = 1.0
"""Time for which a party counts as being served after its last request arrived."""


@dataclass(slots=True)
class _Level:
    """Contents of a leaky bucket at a time."""

    seconds: float
    at: float


class ProcessorShares:
    """Processor time of parties, each in a leaky bucket that empties at the speed of its share.

    For one event loop. Remembers those only whose bucket is not empty.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._levels: OrderedDict[str, _Level] = OrderedDict()
        self._newest = self._newest_other = ("", float("-inf"))

    def arrived(self, party: str) -> None:
        """Note that a party has sent a request."""
        if party != self._newest[0]:
            self._newest_other = self._newest
        self._newest = (party, self._clock())

    def charge(self, party: str, seconds: float) -> None:
        """Add the processor time of a request that has been handled."""
        now = self._clock()
        self._levels[party] = _Level(self._level(party, now) + seconds, now)
        self._levels.move_to_end(party)
        while self._levels and not self._level(oldest := next(iter(self._levels)), now):
            del self._levels[oldest]

    def exceeded(self, party: str) -> bool:
        """Return True if a party has used more than its share, and another one has sent a request lately."""
        now = self._clock()
        other, at = self._newest if self._newest[0] != party else self._newest_other
        return bool(other) and now - at < PRESENT_SECONDS and self._level(party, now) > BURST_SECONDS

    def _level(self, party: str, now: float) -> float:
        level = self._levels.get(party)
        return max(0.0, level.seconds - (now - level.at) * SHARE) if level else 0.0
