"""When an encoder of a device is set aside, and for how long. Pure.

Closed: it may work. Open: it is set aside until a moment, after which a trial encode decides. Failures are counted
until an encode of real work succeeds: a trial that passes closes the breaker, but the next failure opens it at once,
and for twice as long.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

FAILURES_ALLOWED = 2
"""So many in a row can be anybody's fault."""
LONGEST_PAUSE = timedelta(hours=1)
_MOST_DOUBLINGS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Failures in a row, and until when the encoder is set aside; None: it is not."""

    failures: int = 0
    until: datetime | None = None

    @property
    def closed(self) -> bool:
        """Whether the encoder may work. It may not before its trial either, however long the pause is over."""
        return self.until is None


def after_failure(breaker: Breaker, *, now: datetime, pause: timedelta, at_once: bool = False) -> Breaker:
    """Count a failure; `at_once`: one is enough, as when the device is gone or a trial encode failed."""
    failures = breaker.failures + 1
    if not at_once and failures <= FAILURES_ALLOWED:
        return replace(breaker, failures=failures)
    doublings = failures - 1 if at_once else failures - 1 - FAILURES_ALLOWED
    return Breaker(failures=failures, until=now + min(pause * 2 ** min(doublings, _MOST_DOUBLINGS), LONGEST_PAUSE))


def after_trial(breaker: Breaker) -> Breaker:
    """A trial encode passed: the encoder may work again, watched."""
    return replace(breaker, until=None)
