"""The node of a relay: its row, its heartbeat, and every two seconds the counts of its sessions."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from uuid import UUID

from django.db import DatabaseError, InterfaceError

from jobs.leasing.nodes import node_heartbeat, node_register, node_remove
from jobs.models import NodeState
from relay.http.recording import SessionRecords
from relay.records.services import sessions_report, sessions_to_end
from relay.runs.registry import Registry
from relay.runs.run import REQUESTED
from relay.runs.viewers import Outcome

log = logging.getLogger(__name__)

QUEUE = "relay"
REPORT_SECONDS = 2.0


class RelayKeeper:
    """Keeps the rows of a relay, from `start` to `close`."""

    def __init__(  # noqa: PLR0913 - all of a node
        self,
        registry: Registry,
        records: SessionRecords,
        *,
        node: str,
        slots: int,
        heartbeat_seconds: float,
        info: Mapping[str, object],
        ensure_reporter: Callable[[], object] = lambda: None,
        report_seconds: float = REPORT_SECONDS,
    ) -> None:
        self._registry = registry
        self._records = records
        self._node = node
        self._slots = slots
        self._heartbeat_seconds = heartbeat_seconds
        self._info = info
        self._ensure_reporter = ensure_reporter
        self._report_seconds = report_seconds
        self._known = False
        self._heartbeat_at = 0.0
        self._ordered = NodeState.ACTIVE
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task that reports."""
        self._task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Remove the node's row, and stop."""
        self._ending.set()
        if self._task:
            await self._task
        try:
            await self._records.call(lambda: node_remove(name=self._node))
        except (DatabaseError, InterfaceError):
            log.warning("node not removed", extra={"event": "node_not_removed"})

    async def _keep(self) -> None:
        while not self._ending.is_set():
            for part in (self._beat, self._follow, self._report):  # one that fails keeps none of the others from it
                await _logged(part)
            try:
                async with asyncio.timeout(self._report_seconds):
                    await self._ending.wait()
            except TimeoutError:
                continue

    async def _beat(self) -> None:
        """Write the heartbeat, if it is time, and read what operators ordered."""
        if time.monotonic() >= self._heartbeat_at:
            await self._records.call(self._heartbeat)
            self._heartbeat_at = time.monotonic() + self._heartbeat_seconds
            self._registry.ordered_to_drain = self._ordered is NodeState.DRAINING
            await self._records.call(self._ensure_reporter)

    def _heartbeat(self) -> None:
        state = node_heartbeat(name=self._node) if self._known else None
        if state is None:
            node_register(name=self._node, queues=[QUEUE], slots=self._slots, pid=os.getpid(), info=self._info)
            self._known = True
        self._ordered = state or NodeState.ACTIVE

    async def _follow(self) -> None:
        """End the sessions of which somebody requested it."""
        requested: Collection[UUID] = await self._records.call(lambda: sessions_to_end(node=self._node))
        self._registry.end(requested, Outcome(REQUESTED))

    async def _report(self) -> None:
        counts = self._registry.counts()
        await self._records.call(lambda: sessions_report(counts))


async def _logged(part: Callable[[], Awaitable[None]]) -> None:
    """Call a function. Whatever it raises must not end the task that keeps the node alive."""
    try:
        await part()
    except (DatabaseError, InterfaceError) as error:
        log.warning("sessions not reported", extra={"event": "live_sessions_unreported", "error": str(error)})
    except Exception:
        log.exception("sessions not reported", extra={"event": "live_sessions_unreported"})
