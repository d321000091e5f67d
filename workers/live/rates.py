"""The limit of what a publisher may send, as measured: a peak is none, a minute of peaks is one."""

import time
from collections.abc import Callable

from workers.live.intake import Intake

_LOOK_SECONDS = 1.0
_TOLERANCE = 1.1
"""Share of the limit up to which containers and peaks of encoders are put up with."""
_LONGEST_SECONDS = 10.0


class RateWatch:
    """Notes for how long a stream has been above its limit."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looked_at = self._fine_at = clock()

    def excess(self, intake: Intake, limit: int) -> int | None:
        """Return the bits per second of a stream that is above its limit, in the same unit, for too long; else None."""
        now = self._clock()
        if now - self._looked_at < _LOOK_SECONDS:
            return None
        self._looked_at = now
        rate = intake.health().bitrate
        if rate <= limit * _TOLERANCE:
            self._fine_at = now
        return rate if now - self._fine_at > _LONGEST_SECONDS else None
