"""Bounds of looking at a file of a stranger: processor time and memory, of all programs that open it together."""

import os
import time
from collections.abc import Callable
from dataclasses import replace

from execution.guard import Limits
from execution.process import child_pids, processor_seconds
from transcoding.errors import EXPORT_AGAIN, InputRejected, ResourceExceeded

MEMORY_BYTES = 300 << 20
"""Heap and stacks of one program. The index of twelve hours of 60 frames per second takes two thirds of it."""
_CHECK_SECONDS = 0.2
_COPIED_PER_SECOND = 20 << 20
"""Bytes that a copy of the streams may take a second of processor time for: a tenth of what was measured."""
_COPIES, _COPIES_SLACK_BYTES = 4, 128 << 20
"""Times the size of a file that all of its copies may have together, those that failed included, and what is added for
small files. One of what can be read, one raw stream, and two with an index, the first of which failed, are as much as
any needs."""


def _spent() -> float:
    """Return the processor time of this process, in seconds."""
    times = os.times()
    return times.user + times.system


class InspectionBudget:
    """Processor time and memory of one inspection. Time counts for this process and for every program that it starts.

    Waiting costs nothing, unless `wall_seconds` are set: an honest file is not refused because the machine is busy.
    """

    def __init__(
        self,
        seconds: int,
        *,
        memory_bytes: int = MEMORY_BYTES,
        spent: Callable[[], float] = _spent,
        wall_seconds: float | None = None,
    ) -> None:
        self._seconds = seconds
        self._ends_at = None if wall_seconds is None else time.monotonic() + wall_seconds
        self._memory_bytes = memory_bytes
        self._spent = spent
        self._started_at = spent()
        self._checked_at = time.monotonic()
        self._programs: dict[int, float] = {}
        self._grants = self._copied = self._max_copied = 0

    def grant_copy(self, size: int) -> None:
        """Add the time in which a file of so many bytes is copied: its first copies get some, and no others."""
        self.room_for_copies(size)
        self._grants += 1
        if self._grants <= _COPIES:
            self._seconds += size // _COPIED_PER_SECOND

    def room_for_copies(self, size: int) -> int:
        """Return how many bytes further copies of a file of this size may have."""
        self._max_copied = max(self._max_copied, _COPIES * size + _COPIES_SLACK_BYTES)
        return self._max_copied - self._copied

    def copied(self, size: int) -> None:
        """Count the bytes of a copy, of one that failed too. Raises ResourceExceeded where there were too many."""
        self._copied += size
        if self._copied > self._max_copied:
            raise ResourceExceeded(
                f"the copies of the file's streams have more than {self._max_copied} bytes; {EXPORT_AGAIN}"
            )

    def watch(self, pid: int) -> None:
        """Count what a program and its descendants use: a sandbox does not pass it on to those who wait for it."""
        self._programs[pid] = 0.0

    def check(self) -> None:
        """Raise InputRejected when the time is over. Looks at the clock of the processor now and then only."""
        now = time.monotonic()
        if self._ends_at is not None and now > self._ends_at:
            raise ResourceExceeded("looking at the file takes too long")
        if now - self._checked_at < _CHECK_SECONDS:
            return
        self._checked_at = now
        if self._used() > self._seconds:
            raise self._too_long()

    def limits(self, limits: Limits) -> Limits:
        """Return the limits of the next program: what is left of the time, and the memory."""
        left = max(1, round(self._seconds - self._used()))
        return replace(limits, cpu_seconds=min(left, limits.cpu_seconds), data_bytes=self._memory_bytes)

    def _used(self) -> float:
        """Return the seconds so far; of programs that have ended, those that were seen last."""
        for pid in self._programs.keys() & set(child_pids()):  # others may have the numbers of those that have ended
            self._programs[pid] = max(self._programs[pid], processor_seconds(pid))
        return self._spent() - self._started_at + sum(self._programs.values())

    def refusal(self, stderr: str) -> ResourceExceeded | None:
        """Return the reason for which a program failed, if it got no more memory."""
        if "Cannot allocate memory" in stderr:
            return ResourceExceeded(f"the file needs more than {self._memory_bytes >> 20} MiB of memory")
        return None

    def _too_long(self) -> InputRejected:
        return ResourceExceeded(f"the file needs more than {self._seconds} s of processor time to be inspected")
