"""Rows of sessions, written in one thread, in order: what is late in the database must not hold up a stream."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar
from uuid import UUID

from django.db import DatabaseError, InterfaceError, close_old_connections

from api.asgi import in_thread
from relay.engines.engine import Fallback
from relay.metrics import SessionCounts
from relay.models import SessionState
from relay.records.services import session_end, session_first_byte, session_start
from relay.runs.run import Run
from relay.runs.viewers import Outcome

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class SessionRecords:
    """Records the runs of a node."""

    def __init__(self, *, node: str) -> None:
        self._node = node
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="session-records")

    async def started(self, run: Run) -> None:
        """Record a run before it starts. Raises DatabaseError, InterfaceError."""
        await in_thread(
            session_start,
            session_id=run.id,
            owner_id=run.request.owner_id,
            key_id=run.key_id,
            node=self._node,
            request=run.request.engine_request(""),
            source_url=run.request.source_url,
        )

    def first_byte(self, session_id: UUID, encoder: str, fallback: Fallback | None) -> None:
        self._post(partial(session_first_byte, session_id=session_id, encoder=encoder, fallback=fallback))

    def ended(self, session_id: UUID, outcome: Outcome, counts: SessionCounts) -> None:
        state = SessionState.FAILED if outcome.error else SessionState.ENDED
        detail = str(outcome.error) if outcome.error else ""
        self._post(
            partial(session_end, session_id=session_id, state=state, code=outcome.code, detail=detail, counts=counts)
        )

    async def call(self, function: Callable[[], Result]) -> Result:
        """Call a function in the thread, after what was recorded before. Raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(with_connection, function))

    def close(self) -> None:
        """Wait until everything is recorded."""
        self._thread.shutdown()

    def _post(self, function: Callable[[], object]) -> None:
        self._thread.submit(_logged, function)


def with_connection(function: Callable[[], Result]) -> Result:
    """Call a function in a thread that stays, and leave it no connection to the database that is too old."""
    close_old_connections()
    try:
        return function()
    finally:
        close_old_connections()


def _logged(function: Callable[[], object]) -> None:
    """Call a function; what the database does not take is lost, and the janitor ends the row."""
    try:
        with_connection(function)
    except (DatabaseError, InterfaceError) as error:
        log.warning("session not recorded", extra={"event": "live_session_unrecorded", "error": str(error)})
    except Exception:
        log.exception("session not recorded", extra={"event": "live_session_unrecorded"})
