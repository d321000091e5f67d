"""Event streams (server-sent events) in front of Django: a stream costs a task, not a thread.

`GET /api/v1/events` tells everything of an owner from now on, `GET /api/v1/jobs/{id}/events` everything of a job from
its beginning. Both go on after `Last-Event-ID`.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl
from uuid import UUID

from api.asgi import App, Body, Receive, Scope, Send, header, refuse
from api.problems import Problem, not_found, unavailable, wrong_field
from events.hub import EventHub, Wanted
from events.log import BEGINNING, Position
from events.types import EVENT_TYPES, JOB_ENDED

HEARTBEAT_SECONDS = 15.0
"""Shorter than the minute after which proxies take a silent connection for dead."""
_RETRY_MILLISECONDS = 2000
_ADDRESS = re.compile(r"/api/v1/(?:jobs/(?P<job>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/)?events", re.ASCII)
_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]

Authorize = Callable[[Scope], Awaitable[UUID]]
"""Who asks, as an owner's id. Raises Problem."""


class EventStreams:
    """An ASGI application that answers the addresses of streams and leaves all others to the next one."""

    def __init__(  # noqa: PLR0913 - what it stands on, by name
        self,
        app: App,
        hub: EventHub,
        *,
        authorize: Authorize,
        most: int,
        seconds: float,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._app = app
        self._hub = hub
        self._authorize = authorize
        self._most = most
        self._seconds = seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _ADDRESS.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        try:
            wanted = Wanted(
                await self._authorize(scope), UUID(found["job"]) if found["job"] else None, _types_asked(scope)
            )
            after = _last_seen(scope)
            with self._place():
                await self._answer(wanted, after, receive, send)
        except Problem as problem:  # none is raised after an answer began
            await refuse(scope, Body(receive), send, problem)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of the streams of this process, from before its first query on. Raises Problem when there are enough."""
        if self._open >= self._most:
            raise unavailable("too_many_streams", "Too many event streams are open.")
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    async def _answer(self, wanted: Wanted, after: Position | None, receive: Receive, send: Send) -> None:
        if wanted.job_id is not None and await self._is_over(wanted, after):  # what tells browsers not to come back
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._stream(wanted, after, receive, send)

    async def _is_over(self, wanted: Wanted, after: Position | None) -> bool:
        """Whether a client has seen the end of a job. Raises Problem when there is no such job."""
        last = await self._hub.last_of_job(wanted)
        if last is None:
            raise not_found("job")
        return after is not None and last.type in JOB_ENDED and last.position <= after

    async def _stream(self, wanted: Wanted, after: Position | None, receive: Receive, send: Send) -> None:
        """Send until the client is gone, the job is over, or the time is."""
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        gone = asyncio.create_task(_disconnected(receive))
        telling = asyncio.create_task(self._tell(wanted, after, send))
        try:
            await asyncio.wait({gone, telling}, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
            over = not gone.done()
        finally:
            for task in (gone, telling):
                task.cancel()
            await asyncio.gather(gone, telling, return_exceptions=True)
        if over:
            await send({"type": "http.response.body", "body": b""})

    async def _tell(self, wanted: Wanted, after: Position | None, send: Send) -> None:
        """First what was missed, then what happens, each event once and in order."""
        async with self._hub.subscribe(wanted) as subscription:
            if after is None:
                after = BEGINNING if wanted.job_id else subscription.since
            await _send(send, f"retry: {_RETRY_MILLISECONDS}\n\n".encode())
            last = None
            async for message in self._hub.backlog(wanted, after, subscription.since):
                await _send(send, message.rendered)
                last = message
            while not (wanted.job_id and last and last.event.type in JOB_ENDED):
                last = await subscription.next(self._heartbeat_seconds)
                await _send(send, last.rendered if last else b": still here\n\n")


async def _send(send: Send, block: bytes) -> None:
    await send({"type": "http.response.body", "body": block, "more_body": True})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _query(scope: Scope, name: str) -> str | None:
    try:
        pairs = parse_qsl(scope.get("query_string", b"").decode("latin-1"), max_num_fields=20)
    except ValueError as error:
        raise Problem(status=400, code="invalid_query", detail="The query has too many fields.") from error
    return next((value for key, value in pairs if key == name), None)


def _types_asked(scope: Scope) -> frozenset[str]:
    types = frozenset(filter(None, (_query(scope, "types") or "").split(",")))
    if not types <= frozenset(EVENT_TYPES):
        raise wrong_field("types", f"must be some of: {', '.join(EVENT_TYPES)}")
    return types


def _last_seen(scope: Scope) -> Position | None:
    """Where the client was: the header that browsers send when they come back, or the parameter for other clients."""
    text = header(scope, b"last-event-id") or _query(scope, "last_event_id")
    try:
        return Position.parse(text) if text else None
    except ValueError as error:
        raise wrong_field("last_event_id", str(error)) from None
