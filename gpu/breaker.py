"""Circuit breaker of an encoder on a device. Pure.

Closed: the encoder gets work. Open: it is set aside until a time, after which a trial encode decides. A passed trial
closes the breaker but keeps the count of failures, so that the next failure opens it again, for twice as long. Only a
successful encode of a job resets the count.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

FAILURES_ALLOWED = 2
"""Failures in a row that do not open the breaker: the job or another program may be the cause."""
MAX_PAUSE = timedelta(hours=1)
_MAX_DOUBLINGS = 20  # keeps the exponent small; `MAX_PAUSE` applies long before


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """State of a circuit breaker."""

    failures: int = 0
    """In a row."""
    until: datetime | None = None
    """End of the pause; None: closed."""

    @property
    def closed(self) -> bool:
        """Return True if the encoder may work. After the pause it stays open until a trial encode."""
        return self.until is None


def after_failure(breaker: Breaker, *, now: datetime, pause: timedelta, at_once: bool = False) -> Breaker:
    """Count a failure, and open the breaker after `FAILURES_ALLOWED` or, `at_once`, after this one.

    `pause` is doubled with each further failure, up to `MAX_PAUSE`.
    """
    failures = breaker.failures + 1
    if not at_once and failures <= FAILURES_ALLOWED:
        return replace(breaker, failures=failures)
    doublings = failures - 1 if at_once else failures - 1 - FAILURES_ALLOWED
    return Breaker(failures=failures, until=now + min(pause * 2 ** min(doublings, _MAX_DOUBLINGS), MAX_PAUSE))


def after_trial(breaker: Breaker) -> Breaker:
    """Close the breaker after a passed trial encode. The count of failures stays."""
    return replace(breaker, until=None)
