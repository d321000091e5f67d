"""The dispatcher: sends tickets, reclaims expired leases, promotes delayed steps, watches devices, reports progress.

Every action is safe when two dispatchers do it at once; electing one leader only saves work.
"""

import logging
import select
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType

import psycopg
from django.db import InterfaceError, OperationalError, connection

from configuration import LeaseConfig
from jobs.dispatching.budget_watch import held_jobs_plan
from jobs.dispatching.demand import ticket_demand
from jobs.dispatching.device_watch import devices_watch
from jobs.dispatching.janitor_parts import MORE_WATCHES
from jobs.dispatching.listener import Listener
from jobs.dispatching.progress_events import progress_events_append
from jobs.dispatching.tickets import TicketSender
from jobs.leasing.relay import relay_steps_expire
from jobs.lifecycle.failures import leases_reclaim, steps_promote
from jobs.lifecycle.thumbnails import background_promote
from jobs.rules.policy import JobPolicy
from observability.liveness import LivenessFile

log = logging.getLogger(__name__)

DEBOUNCE_SECONDS = 0.05
"""Shortest pause between two looks for work: by then a ticket that was just sent has become a claim."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
"""Pauses between attempts to reach the database: doubling from the first to the longest."""

_DATABASE_GONE = (OperationalError, InterfaceError, psycopg.Error)


class StopSignal:
    """A stop flag, set by SIGTERM, SIGINT or `request`. From then on its file descriptor is readable: it ends waits."""

    def __init__(self) -> None:
        self.requested = False
        self._reader, self._writer = socket.socketpair()

    def install(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def request(self) -> None:
        if not self.requested:
            self.requested = True
            self._writer.send(b"!")

    def wait(self, seconds: float) -> None:
        select.select([self], [], [], seconds)

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    def fileno(self) -> int:
        return self._reader.fileno()

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.request()


class Dispatcher:
    def __init__(self, *, lease: LeaseConfig, policy: JobPolicy, sender: TicketSender, liveness: LivenessFile) -> None:
        self._liveness = liveness
        self._lease = lease
        self._policy = policy
        self._sender = sender
        self._listener = Listener()
        self._next_tick = 0.0

    def run(self, stop: StopSignal) -> None:
        """Run until the stop signal is set, through restarts of the database."""
        pause = FIRST_PAUSE_SECONDS
        while not stop.requested:
            self._liveness.write()
            try:
                self._look()
                self._rest(stop)
                pause = FIRST_PAUSE_SECONDS
            except _DATABASE_GONE as error:
                log.warning("database unavailable: %s", error, extra={"event": "database_unavailable"})
                self.close()
                stop.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        self.close()
        self._liveness.remove()

    def close(self) -> None:
        self._listener.close()
        connection.close()

    def _look(self) -> None:
        """Run what is due, if this dispatcher leads. The others try to become the leader once per tick."""
        due = time.monotonic() >= self._next_tick
        if due:
            self._next_tick = time.monotonic() + self._lease.dispatcher_tick_seconds
        if not self._listener.lead():
            return
        if due:
            _attempt(lambda: leases_reclaim(policy=self._policy))
            _attempt(relay_steps_expire)
            _attempt(steps_promote)
            _attempt(background_promote)
            _attempt(lambda: devices_watch(policy=self._policy))
            _attempt(lambda: held_jobs_plan(policy=self._policy))
            _attempt(progress_events_append)
            for watch in MORE_WATCHES:
                _attempt(watch)
        demand = ticket_demand(silence_seconds=self._lease.node_silence_seconds)
        if demand:
            self._sender.request(demand)

    def _rest(self, stop: StopSignal) -> None:
        """Sleep until a notification arrives or the next tick is due, but at least `DEBOUNCE_SECONDS`."""
        stop.wait(DEBOUNCE_SECONDS)
        self._listener.wait(max(0.0, self._next_tick - time.monotonic()), stop)


def _attempt(part: Callable[[], object]) -> None:
    """Run one part and log its exception, so that a bug in it does not stop the others. Raises database errors."""
    try:
        part()
    except _DATABASE_GONE:
        raise
    except Exception:
        log.exception("dispatcher part failed", extra={"event": "dispatcher_part_failed"})
