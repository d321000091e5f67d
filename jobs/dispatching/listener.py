"""The dispatcher's own connection: woken by NOTIFY, and leader for as long as its session holds the lock."""

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
    """Something readable that ends a wait early."""

    def fileno(self) -> int: ...


class Listener:
    """Raises psycopg.Error from every method when the connection is gone; `close` and begin again."""

    def __init__(self) -> None:
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self._leading = False

    def lead(self) -> bool:
        """Whether this process is the one that acts; tries to become it when nobody else is."""
        if not self._leading:
            session = self._session()
            self._leading = session.execute("SELECT pg_try_advisory_lock(%s)", [LEADER_LOCK]).fetchone() == (True,)
            if self._leading:
                session.execute(f"LISTEN {CHANNEL}")
                log.info("leading", extra={"event": "dispatcher_leads"})
        return self._leading

    def wait(self, seconds: float, interrupt: Interrupt) -> bool:
        """Sleep until there is news, the interrupt is readable, or the time is over. True: there was news."""
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
