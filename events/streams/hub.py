"""Following the log: one reader per process hands every new event to all streams that want it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from django.db import DatabaseError, InterfaceError

from events.log import BEGINNING, CHANNEL, COLUMNS, COMMIT_HORIZON, LoggedEvent, Position, event_read

log = logging.getLogger(__name__)

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Connect = Callable[[], Awaitable[Connection]]
Render = Callable[[Sequence[LoggedEvent]], Awaitable[Sequence[Mapping[str, Any]]]]
"""Renders the documents of events, in their order."""

_BATCH = 500
_LOOK_SECONDS = 1.0
"""Seconds between reads without a notification: an event can wait for an older transaction that ends silently."""
_PAUSE_SECONDS = 1.0
_GATHER_SECONDS = 0.0005
"""Seconds per stream for which events gather before they are read: writing to a stream takes a fifth of that.

Otherwise each event of an owner with hundreds of streams would hold up the requests of all others.
"""
_STREAMS_TOGETHER = 20
"""Streams that are written to before the event loop turns to something else."""
_QUEUE = 1000
"""Events that a client may be behind; a slower one is sent away, and goes on later where it was."""

_AFTER = f"""
SELECT {COLUMNS} FROM events_event
WHERE (transaction, id) > (%(transaction)s, %(event)s) AND transaction < {COMMIT_HORIZON}
ORDER BY transaction, id LIMIT %(limit)s
"""  # noqa: S608 - put together from constants

_BACKLOG = f"""
SELECT {COLUMNS} FROM events_event
WHERE owner_id = %(owner)s AND (%(job)s::uuid IS NULL OR job_id = %(job)s::uuid)
  AND (transaction, id) > (%(transaction)s, %(event)s) AND (transaction, id) <= (%(until_transaction)s, %(until_event)s)
ORDER BY transaction, id LIMIT %(limit)s
"""  # noqa: S608 - put together from constants

_HAS_FIRST = "SELECT EXISTS (SELECT FROM events_event WHERE owner_id = %(owner)s AND job_id = %(job)s AND seq = 1)"
# Whether everything since a position is kept. It is if the event there is, whoever's: that it exists says nothing else.
# Where no event at all is kept, it is if none has happened since: the mark of webhooks is that of the newest event.
_HAS = """
SELECT EXISTS (SELECT FROM events_event WHERE id = %(event)s AND transaction = %(transaction)s)
    OR (
        NOT EXISTS (SELECT FROM events_event)
        AND NOT EXISTS (
            SELECT FROM events_fanout WHERE event_id > 0 AND (transaction, event_id) > (%(transaction)s, %(event)s)
        )
        AND %(transaction)s <= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    )
"""
_END = f"""
(
    SELECT transaction, id FROM events_event WHERE transaction < {COMMIT_HORIZON}
    ORDER BY transaction DESC, id DESC LIMIT 1
) UNION ALL (SELECT {COMMIT_HORIZON}, 0) ORDER BY id DESC LIMIT 1
"""  # noqa: S608 - put together from constants

_LAST = f"SELECT {COLUMNS} FROM events_event WHERE owner_id = %(owner)s AND job_id = %(job)s ORDER BY seq DESC LIMIT 1"  # noqa: S608 - put together from constants


@dataclass(frozen=True, slots=True)
class EventFilter:
    """The events that a stream is about: an owner's, or those of one of their jobs; `types`, if given, narrows that."""

    owner_id: UUID
    job_id: UUID | None = None
    types: frozenset[str] = frozenset()

    def __contains__(self, event: LoggedEvent) -> bool:
        mine = event.owner_id == self.owner_id and self.job_id in (None, event.job_id)
        return mine and (not self.types or event.type in self.types)


@dataclass(frozen=True, slots=True)
class Message:
    """An event as the bytes that every stream sends alike, rendered once."""

    event: LoggedEvent
    rendered: bytes

    @classmethod
    def of(cls, event: LoggedEvent, document: Mapping[str, Any]) -> "Message":
        data = json.dumps(document, separators=(",", ":"))
        return cls(event, f"id: {event.position}\nevent: {event.type}\ndata: {data}\n\n".encode())


class Subscription:
    """A stream's place at the hub. `since`: everything after this arrives here, what is before it is backlog."""

    def __init__(self, event_filter: EventFilter, since: Position, *, queue: int) -> None:
        self.event_filter = event_filter
        self.since = since
        self._queue: asyncio.Queue[Message] = asyncio.Queue(queue)
        self._behind = False

    def offer(self, message: Message) -> None:
        """Hand on an event. A stream that is too far behind gets no more; `next` ends it."""
        if self._behind or message.event not in self.event_filter:
            return
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self._behind = True

    async def next(self, seconds: float) -> list[Message]:
        """Wait for the next events; none when there were none for so long.

        Raises FellBehind once all that fitted was given.
        """
        if self._behind and self._queue.empty():
            raise FellBehind
        try:
            async with asyncio.timeout(seconds):  # below Python 3.12 wait_for can swallow that its task is cancelled
                messages = [await self._queue.get()]
        except TimeoutError:
            return []
        while not self._queue.empty():
            messages.append(self._queue.get_nowait())
        return messages


class FellBehind(Exception):
    """A client reads more slowly than events happen."""


class EventHub:
    """Begins to follow the log with the first subscription, and goes on through restarts of the database."""

    def __init__(
        self, connect: Connect, render: Render, *, readers: int = 4, batch: int = _BATCH, queue: int = _QUEUE
    ) -> None:
        self._connect = connect
        self._render = render
        self._batch = batch
        self._queue = queue
        self._readers = asyncio.Semaphore(readers)
        self._subscriptions: set[Subscription] = set()
        self._position: Position | None = None
        self._following: asyncio.Task[None] | None = None
        self._positioned = asyncio.Event()

    def __len__(self) -> int:
        return len(self._subscriptions)

    @property
    def position(self) -> Position | None:
        """Position in the log from which a new subscription would go on; None before the first one."""
        return self._position

    @asynccontextmanager
    async def subscribe(self, event_filter: EventFilter) -> AsyncIterator[Subscription]:
        """Have new events of a kind handed on, from one exact place in the log on."""
        if self._following is None:
            self._following = asyncio.create_task(self._follow())
        await self._positioned.wait()
        subscription = Subscription(event_filter, self._current_position(), queue=self._queue)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    async def backlog(self, event_filter: EventFilter, after: Position, until: Position) -> AsyncIterator[Message]:
        """Yield what happened after one position in the log and up to another, page by page."""
        while after < until:
            page = await self._page(event_filter, after, until)
            for message in await self._messages([event for event in page if event in event_filter]):
                yield message
            if len(page) < self._batch:
                return
            after = page[-1].position

    async def last_of_job(self, event_filter: EventFilter) -> LoggedEvent | None:
        """The newest event of an owner's job, also one that may not be sent yet. None: there is no such job."""
        async with self._readers, await self._connect() as session:
            cursor = await session.execute(_LAST, {"owner": event_filter.owner_id, "job": event_filter.job_id})
            row = await cursor.fetchone()
            return event_read(row) if row else None

    async def missed(self, event_filter: EventFilter, after: Position | None) -> bool:
        """Tell whether something may have happened since a position that is not kept any more.

        Without a position, or from the very beginning: whether the first event of a job is not kept.
        """
        values: dict[str, object] = {"owner": event_filter.owner_id, "job": event_filter.job_id}
        if after in (None, BEGINNING) and event_filter.job_id:
            query = _HAS_FIRST
        elif after is None:
            return False
        else:
            query, values = _HAS, values | {"transaction": after.transaction, "event": after.event_id}
        async with self._readers, await self._connect() as session:
            cursor = await session.execute(query, values)
            return await cursor.fetchone() != (True,)

    async def close(self) -> None:
        """Stop following; open streams get nothing more."""
        if self._following:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
            self._following = None

    def _current_position(self) -> Position:
        if self._position is None:
            raise RuntimeError("the log is not followed yet")
        return self._position

    async def _page(self, event_filter: EventFilter, after: Position, until: Position) -> list[LoggedEvent]:
        """Few read at a time, however many clients come back at once after a restart."""
        values = {
            "owner": event_filter.owner_id,
            "job": event_filter.job_id,
            "transaction": after.transaction,
            "event": after.event_id,
            "until_transaction": until.transaction,
            "until_event": until.event_id,
            "limit": self._batch,
        }
        async with self._readers, await self._connect() as session:
            cursor = await session.execute(_BACKLOG, values)
            return [event_read(row) for row in await cursor.fetchall()]

    async def _follow(self) -> None:
        while True:
            try:
                async with await self._connect() as session:
                    await session.execute(f"LISTEN {CHANNEL}")
                    await self._read_on(session)
            except (psycopg.Error, DatabaseError, InterfaceError) as error:
                log.warning("events wait for the database: %s", error, extra={"event": "event_hub_waits"})
            except Exception:  # every stream of the process depends on this task, and nothing else would notice its end
                log.exception("events are not followed", extra={"event": "event_hub_failed"})
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _read_on(self, session: Connection) -> None:
        if self._position is None:
            # That of the newest event, which `missed` finds again; in an empty log, one before all that may follow.
            cursor = await session.execute(_END)
            row = await cursor.fetchone()
            self._position = Position(*row) if row else BEGINNING
            self._positioned.set()
        while True:
            while await self._read(session, self._current_position()) == self._batch:
                pass
            async for _ in session.notifies(timeout=_LOOK_SECONDS, stop_after=1):
                pass
            await asyncio.sleep(_GATHER_SECONDS * len(self._subscriptions))

    async def _read(self, session: Connection, after: Position) -> int:
        values = {"transaction": after.transaction, "event": after.event_id, "limit": self._batch}
        cursor = await session.execute(_AFTER, values)
        events = [event_read(row) for row in await cursor.fetchall()]
        # Whoever subscribes while these are rendered begins before them, and is offered all of them below.
        messages = await self._messages(events) if self._subscriptions else []
        if events:
            self._position = events[-1].position
        for number, subscription in enumerate(tuple(self._subscriptions), start=1):
            for message in messages:
                subscription.offer(message)
            if number % _STREAMS_TOGETHER == 0:
                await asyncio.sleep(0)
        return len(events)

    async def _messages(self, events: Sequence[LoggedEvent]) -> list[Message]:
        documents = await self._render(events) if events else ()
        return [Message.of(event, document) for event, document in zip(events, documents, strict=True)]
