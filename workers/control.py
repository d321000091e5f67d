"""What a running step and the thread that keeps its lease tell each other: it moves, and it must stop."""

import threading
from enum import StrEnum

from execution.ffmpeg import Stopped
from workers.flags import SharedFlag


class StopReason(StrEnum):
    """Why a step must end before it is done."""

    LEASE_LOST = "lease_lost"
    """The step was cancelled, or another worker has it: everything unpublished is garbage."""
    UNPROVABLE = "unprovable"
    """The database did not answer for most of the lease, so nobody knows whose the step is."""
    DRAINING = "draining"
    """The node is being stopped: the step goes back uncharged."""


class StepControl:
    """Movement in one direction, orders to stop in the other. A `StopSignal` for everything that runs."""

    def __init__(self, draining: SharedFlag) -> None:
        self._draining = draining
        self._lock = threading.Lock()
        self._movements = 0
        self._reason: StopReason | None = None

    def moved(self, _amount: int = 0) -> None:
        """Something advanced: bytes came in or went out, or frames were encoded. Raises Stopped when that is over."""
        self._movements += 1
        if self.is_set():
            raise Stopped

    @property
    def movements(self) -> int:
        """A number that grows while the step advances; the lease is renewed only then."""
        return self._movements

    def stop(self, reason: StopReason) -> None:
        """Order the step to stop; the first reason stays."""
        with self._lock:
            self._reason = self._reason or reason

    def is_set(self) -> bool:
        """Whether the step is to stop."""
        if self._draining.is_set():
            self.stop(StopReason.DRAINING)
        return self._reason is not None

    @property
    def reason(self) -> StopReason | None:
        """Why the step is to stop, once it is."""
        return self._reason if self.is_set() else None
