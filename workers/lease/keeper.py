"""Keep the lease of a running step: a thread of its own renews it through a database connection of its own.

A second thread, which makes no calls that could block, stops the step in time when the first one gets no answer.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from django.db import DatabaseError, InterfaceError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from jobs.leasing.claim import Claim
from jobs.leasing.leases import step_renew
from workers.lease.connections import abort_connection
from workers.lease.control import StepControl, StopReason
from workers.lease.terms import LeaseTerms

log = logging.getLogger(__name__)

_RETRIES_PER_RENEWAL = 4
_STATEMENT_TIMEOUT_SHARE = 0.25


class RenewalFailed(Exception):
    """The database did not answer; the lease may or may not hold."""


class Renewal(Protocol):
    """Renews a lease. Used by one thread, except `abort`."""

    def renew(self) -> bool:
        """Prolong the lease from now on. False: it is lost. Raises RenewalFailed."""
        ...

    def close(self) -> None:
        """Close what renewing used."""
        ...

    def abort(self) -> None:
        """End a `renew` that waits for an answer; called by another thread."""
        ...


class DatabaseRenewal:
    """Renews a step's lease through this thread's own connection; a statement that hangs costs a fraction of it."""

    def __init__(self, claim: Claim, terms: LeaseTerms) -> None:
        self._claim = claim
        self._lease_seconds = terms.lease_seconds
        self._bounded = False
        self._database: BaseDatabaseWrapper | None = None

    def renew(self) -> bool:
        """See `Renewal`."""
        self._database = connections["default"]
        try:
            self._bound_waiting()
            return step_renew(claim=self._claim, lease_seconds=self._lease_seconds)
        except (DatabaseError, InterfaceError) as error:
            self.close()
            raise RenewalFailed(str(error)) from error

    def close(self) -> None:
        """See `Renewal`."""
        connection.close()
        self._bounded = False

    def abort(self) -> None:
        """See `Renewal`."""
        if self._database:
            abort_connection(self._database)

    def _bound_waiting(self) -> None:
        if not self._bounded:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SET statement_timeout = %s", [int(self._lease_seconds * _STATEMENT_TIMEOUT_SHARE * 1000)]
                )
            self._bounded = True


@dataclass(frozen=True, slots=True)
class Clock:
    """The time in seconds, and waiting for an event for so many of them."""

    now: Callable[[], float] = time.monotonic
    wait: Callable[[threading.Event, float], bool] = threading.Event.wait


class LeaseKeeper:
    """Renews a lease as long as its step moves, and stops the step when the lease is lost or cannot be confirmed.

    Used as a context manager around the step. `enforce` ends what cannot wait until the step looks at its control.
    """

    def __init__(
        self,
        *,
        renewal: Renewal,
        control: StepControl,
        terms: LeaseTerms,
        enforce: Callable[[StopReason], None],
        clock: Clock = Clock(),
    ) -> None:
        self._renewal = renewal
        self._enforce = enforce
        self._control = control
        self._terms = terms
        self._clock = clock
        self._over = threading.Event()
        self._threads = (
            threading.Thread(target=self._keep, name="lease-keeper", daemon=True),
            threading.Thread(target=self._guard, name="lease-guard", daemon=True),
        )
        self._confirmed_at = clock.now()
        self._seen_movements = control.movements

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _keep(self) -> None:
        """Renew in time, and more often while that fails."""
        pause = self._terms.renew_seconds
        while not self._clock.wait(self._over, pause) and not self._control.is_set():
            renewed = self._renew_if_moving()
            pause = self._terms.renew_seconds / (1 if renewed else _RETRIES_PER_RENEWAL)
        self._renewal.close()

    def _guard(self) -> None:
        """Stop the step when the lease was not confirmed for too long, and end every wait for the database."""
        while not self._clock.wait(self._over, max(0.0, self._seconds_left())):
            if self._seconds_left() <= 0:
                self._stop(StopReason.UNCONFIRMED)
                self._renewal.abort()
                return

    def _stop(self, reason: StopReason) -> None:
        self._control.stop(reason)
        self._enforce(reason)

    def _renew_if_moving(self) -> bool:
        """Renew once. False: no answer. A step that stands still keeps what is left of its lease, and no more."""
        movements = self._control.movements
        if movements == self._seen_movements:
            return True
        started = self._clock.now()
        try:
            held = self._renewal.renew()
        except RenewalFailed as error:
            log.warning("lease not renewed", extra={"event": "lease_not_renewed", "error": str(error)})
            return False
        self._seen_movements = movements
        self._confirmed_at = started
        if not held:
            self._stop(StopReason.LEASE_LOST)
        return True

    def _seconds_left(self) -> float:
        """Return how long the step may still run, counted from the last confirmed renewal."""
        return self._confirmed_at + self._terms.lease_seconds * self._terms.stop_fraction - self._clock.now()
