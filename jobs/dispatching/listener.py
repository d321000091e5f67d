"""The dispatcher's own connection: NOTIFY wakes it, and the advisory lock of its session makes it the leader."""

import logging
import select
from typing import Protocol

import psycopg
from django.db import connection

from jobs.changes.wake import CHANNEL

log = logging.getLogger(__name__)

LEADER_LOCK = 0x766F646D696C6C
"""Advisory lock of the one dispatcher that acts; "vodmill" in ASCII."""

_CONNECTING = {"connect_timeout": 3, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}


class Interrupt(Protocol):
    """A file descriptor that ends a wait early when it is readable."""

    def fileno(self) -> int: ...


class Listener:
    """The leader lock and notifications.

    Every method raises psycopg.Error when the connection is gone. Callers then `close` and try again.
    """

    def __init__(self) -> None:
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self._leading = False

    def lead(self) -> bool:
        """Return True if this process leads. Tries to take the leader lock otherwise."""
        if not self._leading:
            session = self._session()
            self._leading = session.execute("SELECT pg_try_advisory_lock(%s)", [LEADER_LOCK]).fetchone() == (True,)
            if self._leading:
                session.execute(f"LISTEN {CHANNEL}")
                log.info("leading", extra={"event": "dispatcher_leads"})
        return self._leading

    def wait(self, seconds: float, interrupt: Interrupt) -> bool:
        """Sleep until a notification arrives, the interrupt is readable or the time is over. True: a notification."""
        session = self._session()
        readable, _, _ = select.select([session, interrupt], [], [], seconds)
        return session in readable and bool(list(session.notifies(timeout=0)))

    def close(self) -> None:
        """Drop the connection and with it the leadership."""
        if self._connection:
            self._connection.close()
        self._connection, self._leading = None, False

    def _session(self) -> psycopg.Connection[tuple[object, ...]]:
        if self._connection is None:
            parameters = connection.get_connection_params() | _CONNECTING
            self._connection = psycopg.connect(**parameters, autocommit=True)
        return self._connection
