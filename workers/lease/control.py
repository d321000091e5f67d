"""Signals between a running step and the thread that keeps its lease: progress, and the order to stop."""

import math
import threading
import time
from collections.abc import Callable
from enum import StrEnum

from execution.ffmpeg import Stopped
from workers.node.flags import SharedFlag


class StopReason(StrEnum):
    """Reason for which a step must end before it is done."""

    LEASE_LOST = "lease_lost"
    """The step was cancelled, or another worker has it: everything unpublished is garbage."""
    UNCONFIRMED = "unconfirmed"
    """The database did not answer for most of the lease, so nobody knows whose the step is."""
    DRAINING = "draining"
    """The node is being stopped and the rest does not fit the grace period: the step is released uncharged."""
    OVERTIME = "overtime"
    """The step has had its time and published something: it is released uncharged, and continues in its turn."""


class StepControl:
    """Progress of a step in one direction, the order to stop in the other. A `StopSignal` for everything that runs."""

    def __init__(
        self,
        draining: SharedFlag,
        *,
        grace_seconds: float = 0.0,
        max_seconds: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._draining = draining
        self._grace_seconds = grace_seconds
        self._max_seconds = max_seconds
        self._published = False
        self._lock = threading.Lock()
        self._movements = 0
        self._reason: StopReason | None = None
        self._started_at = self._counted_from = clock()
        self._drained_at: float | None = None
        self._share_done = 0.0

    def moved(self, _amount: int = 0) -> None:
        """Record that bytes came in or went out, or frames were encoded. Raises Stopped when the step must stop."""
        self._movements += 1
        if self.is_set():
            raise Stopped

    def advanced(self, done: int, total: int) -> None:
        """Record which share of the step is done, to know whether the rest fits into a grace period."""
        self._share_done = done / total
        self.moved()

    def published(self) -> None:
        """Record that another attempt need not do this one's work again: the step may be stopped for its time."""
        self._published = True

    def restart_time(self) -> None:
        """Give the step all its time again, before a part of it that another attempt would have to do again."""
        self._counted_from = self._clock()

    @property
    def movements(self) -> int:
        """Number that grows while the step advances; the lease is renewed only then."""
        return self._movements

    def stop(self, reason: StopReason) -> None:
        """Order the step to stop; the first reason stays."""
        with self._lock:
            self._reason = self._reason or reason

    def is_set(self) -> bool:
        """Tell whether the step must stop."""
        if self._reason is None and self._draining.is_set() and not self._rest_fits():
            self.stop(StopReason.DRAINING)
        if self._published and self._clock() - self._counted_from > self._max_seconds:
            self.stop(StopReason.OVERTIME)
        return self._reason is not None

    def _rest_fits(self) -> bool:
        """Tell whether the step will be done before the grace period is over, at its speed so far."""
        now = self._clock()
        self._drained_at = self._drained_at or now
        if not self._share_done or self._draining.is_urgent():
            return False
        rest = (now - self._started_at) * (1 - self._share_done) / self._share_done
        return now + rest <= self._drained_at + self._grace_seconds

    @property
    def reason(self) -> StopReason | None:
        """The reason for which the step must stop, once it must."""
        return self._reason if self.is_set() else None
