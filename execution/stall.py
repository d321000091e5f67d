"""Stall detection: distinguishes a program that is slow from one that hangs."""

import time
from collections.abc import Callable

from execution.process import processor_seconds
from transcoding.errors import ProcessStalled

_SAMPLES = 4
"""Samples of the processor time within one stall timeout."""
_WORKING_SHARE = 0.02
"""Share of one core that a program uses at least while it works.

A niced encoder beside four others on two cores gets a twentieth; what waits for a lock or a pipe gets nothing.
"""


class StallTimer:
    """Watches one program. Output is activity, and so is processor time, until there was no output for too long.

    The first frame of an encoder with look-ahead may take many minutes of work; a decoder in an endless loop works,
    too.
    """

    def __init__(
        self,
        pid: int,
        stall_seconds: float,
        max_silent_seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        processor: Callable[[int], float] = processor_seconds,
    ) -> None:
        self._pid = pid
        self._stall_seconds = stall_seconds
        self._max_silent_seconds = max_silent_seconds
        self._clock = clock
        self._processor = processor
        self._active_at = self._output_at = self._sampled_at = clock()
        self._spent = 0.0

    def reset(self) -> None:
        """Record output."""
        self._active_at = self._output_at = self._clock()

    def extend(self, seconds: float) -> None:
        """Leave out time in which the program may have waited for us."""
        self._active_at += seconds
        self._output_at += seconds

    def works(self) -> bool:
        """Take a sample when it is time for one. Returns True if the program has worked since the last one."""
        now = self._clock()
        seconds = now - self._sampled_at
        if seconds < self._stall_seconds / _SAMPLES:
            return False
        spent, self._sampled_at = self._processor(self._pid), now
        worked, self._spent = spent - self._spent >= seconds * _WORKING_SHARE, spent
        if worked:
            self._active_at = now
        return worked

    def check(self, what: str) -> None:
        """Raise ProcessStalled, which says `what`, for a program that hangs."""
        now = self._clock()
        if now - self._active_at > self._stall_seconds:
            raise ProcessStalled(f"{what} for {self._stall_seconds} s")
        if now - self._output_at > self._max_silent_seconds:
            raise ProcessStalled(f"{what} for {self._max_silent_seconds} s, and used the processor all the time")
