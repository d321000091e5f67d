"""Event streams (server-sent events) in front of Django: a stream costs a task, not a thread.

`GET /api/v1/events` tells everything of an owner from now on, `GET /api/v1/jobs/{id}/events` everything of a job from
its beginning. Both go on after `Last-Event-ID`.
"""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import parse_qsl
from uuid import UUID

from access.callers import Presented
from access.parties import known_owner
from api.asgi import App, Body, Message, Receive, Scope, Send, header, path_below_prefix, refuse
from api.problems import Problem, any_problem_of, invalid_field, not_found, over_limit, unavailable
from api.refusals import MAX_PAUSE_SECONDS
from api.request_log import describe_request
from events.log import BEGINNING, LoggedEvent, Position
from events.streams.hub import EventFilter, EventHub
from events.types import EVENT_TYPES, JOB_ENDED, RESET_TYPE

HEARTBEAT_SECONDS = 15.0
"""Shorter than the minute after which proxies take a silent connection for dead."""
RECHECK_SECONDS = 60.0
"""Seconds between checks that the credentials of open streams still work."""
SEND_SECONDS = 30.0
"""A client that has taken nothing for so long is not reading any more."""
_RETRY_MILLISECONDS = 2000
_RETRY_AFTER_SECONDS = 5
_FIELDS = ("types", "last_event_id")
_MAX_QUERY_FIELDS = 20
_ADDRESS = re.compile(r"/api/v1/(?:jobs/(?P<job>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/)?events", re.ASCII)
_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listener:
    """The owner who opened a stream, and the credential shown for it."""

    owner_id: UUID
    credential: Presented


Authorize = Callable[[Scope], Awaitable[Listener]]
"""Authenticates a request. Raises Problem."""
JobEnded = Callable[[UUID, UUID], Awaitable[bool | None]]
"""Tells whether a job of an owner is over; None: the owner has no such job."""
Recheck = Callable[[Collection[Presented]], Awaitable[Collection[Presented]]]
"""Returns those of these credentials that still work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """`max_streams` are open at a time in one process, `max_owner_streams` of one owner, each for so many `seconds`."""

    max_streams: int
    seconds: float
    max_owner_streams: int = 200
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    recheck_seconds: float = RECHECK_SECONDS
    send_seconds: float = SEND_SECONDS


_Wait = Coroutine[object, None, object]


class _Open:
    """An open stream: whose, with which credential, and whether that was found not to work any more."""

    def __init__(self, listener: Listener) -> None:
        self.owner_id = listener.owner_id
        self.credential = listener.credential
        self.dismissed = asyncio.Event()


class EventStreams:
    """An ASGI application that answers the addresses of streams and leaves all others to the next one."""

    def __init__(  # noqa: PLR0913 - what it is given to do, by name
        self,
        app: App,
        hub: EventHub,
        *,
        authorize: Authorize,
        recheck: Recheck,
        job_ended: JobEnded,
        limits: StreamLimits,
    ) -> None:
        self._app = app
        self._hub = hub
        self._authorize = authorize
        self._recheck = recheck
        self._job_ended = job_ended
        self._limits = limits
        self._open: set[_Open] = set()
        self._checking: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _requested(scope)
        if found is None:
            await self._app(scope, receive, send)
            return
        started = False

        async def begin(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._listen(scope, found["job"], receive, begin)
        except Exception as error:
            if started:
                raise
            await refuse(scope, Body(receive), send, any_problem_of(error))

    async def _listen(self, scope: Scope, job: str | None, receive: Receive, send: Send) -> None:
        describe_request(scope, route="/api/v1/jobs/<uuid:job_id>/events" if job else "/api/v1/events")
        await self._refuse_early(scope)
        listener = await self._authorize(scope)
        query = _query(scope)
        event_filter = EventFilter(listener.owner_id, UUID(job) if job else None, _types_requested(query))
        after = _last_seen(scope, query)
        with self._slot(listener) as stream:
            await self._answer(stream, event_filter, after, receive, send)

    async def _refuse_early(self, scope: Scope) -> None:
        """Refuse an owner who has enough streams before any work, and not at once: its clients may come in hundreds."""
        owner_id = known_owner(scope)
        if owner_id and (refusal := self._owner_refusal(owner_id)):
            await asyncio.sleep(MAX_PAUSE_SECONDS)
            raise refusal

    def _owner_refusal(self, owner_id: UUID) -> Problem | None:
        if sum(stream.owner_id == owner_id for stream in self._open) < self._limits.max_owner_streams:
            return None
        detail = f"{self._limits.max_owner_streams} of your event streams are open, which is the most at a time."
        return over_limit("too_many_streams", detail, retry_after_seconds=_RETRY_AFTER_SECONDS)

    @contextmanager
    def _slot(self, listener: Listener) -> Iterator[_Open]:
        """One of the streams of this process, from before its first query on. Raises Problem when there are enough."""
        if refusal := self._owner_refusal(listener.owner_id):
            raise refusal
        if len(self._open) >= self._limits.max_streams:
            raise unavailable("too_many_streams", "Too many event streams are open.")
        stream = _Open(listener)
        self._open.add(stream)
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._keep_checking())
        try:
            yield stream
        finally:
            self._open.discard(stream)

    async def _keep_checking(self) -> None:
        """While there are streams, end now and then those whose keys or sessions do not work any more."""
        while self._open:
            await asyncio.sleep(self._limits.recheck_seconds)
            streams = tuple(self._open)  # whoever comes during the query has just shown one that works
            try:
                working = await self._recheck({stream.credential for stream in streams})
            except Exception:  # their time ends them
                log.exception("credentials of streams were not looked at", extra={"event": "stream_keys_unchecked"})
                continue
            for stream in streams:
                if stream.credential not in working:
                    stream.dismissed.set()

    async def _answer(
        self, stream: _Open, event_filter: EventFilter, after: Position | None, receive: Receive, send: Send
    ) -> None:
        over, rests = False, False
        if event_filter.job_id is not None:
            last = await self._hub.last_of_job(event_filter)
            if last is None:
                rests = await self._rests(event_filter.owner_id, event_filter.job_id)
                over = rests and after == BEGINNING  # the id of the message that says so
            else:
                over = last.type in JOB_ENDED and after is not None and last.position <= after
        if over:  # 204 keeps browsers from reconnecting
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        following = self._follow(event_filter, after, send, rests=rests)
        if await self._until_over(_disconnected(receive), following, stream.dismissed.wait()):
            with suppress(TimeoutError):
                await self._send(send, b"", more=False)

    async def _rests(self, owner_id: UUID, job_id: UUID) -> bool:
        """Tell whether a job of which no event is kept is over. Raises Problem when there is no such job."""
        ended = await self._job_ended(owner_id, job_id)
        if ended is None:
            raise not_found("job")
        return ended

    async def _until_over(self, gone: _Wait, *others: _Wait) -> bool:
        """Wait for one of these, or until the time is over. Return False when the client is gone."""
        leaving = asyncio.ensure_future(gone)
        tasks = [leaving, *(asyncio.ensure_future(other) for other in others)]
        try:
            await asyncio.wait(tasks, timeout=self._limits.seconds, return_when=asyncio.FIRST_COMPLETED)
            return not leaving.done()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, event_filter: EventFilter, after: Position | None, send: Send, *, rests: bool) -> None:
        """First what was missed, then what happens, each event once and in order. `rests`: nothing happens any more."""
        async with self._hub.subscribe(event_filter) as subscription:
            missed = await self._hub.missed(event_filter, after)
            if after is None or rests or (missed and after > subscription.since):  # of another life of the database
                after = BEGINNING if event_filter.job_id else subscription.since
            await self._send(send, f"retry: {_RETRY_MILLISECONDS}\n\n".encode())
            if rests:
                await self._send(send, _reset(event_filter, after))
                return
            last = None
            async for message in self._hub.backlog(event_filter, after, subscription.since):
                if missed and last is None:
                    await self._send(send, _reset(event_filter, after))  # whoever is cut off here gets it again
                await self._send(send, message.rendered)
                last = message
            if missed and last is None:  # it will not hear of it again, however long nothing else happens
                await self._send(send, _reset(event_filter, subscription.since))
            over = last is not None and _ends(event_filter, last.event)
            while not over:
                messages = await subscription.next(self._limits.heartbeat_seconds)
                ended = next((n for n, each in enumerate(messages, start=1) if _ends(event_filter, each.event)), None)
                block = b"".join(message.rendered for message in messages[:ended])
                await self._send(send, block or b": still here\n\n")
                over = ended is not None

    async def _send(self, send: Send, block: bytes, *, more: bool = True) -> None:
        """Raises TimeoutError when the client does not read any more."""
        async with asyncio.timeout(self._limits.send_seconds):
            await send({"type": "http.response.body", "body": block, "more_body": more})


def _requested(scope: Scope) -> re.Match[str] | None:
    """Match the path of a request for a stream."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    return _ADDRESS.fullmatch(path_below_prefix(scope))


def _ends(event_filter: EventFilter, event: LoggedEvent) -> bool:
    """Tell whether nothing follows this event on a stream."""
    return event_filter.job_id is not None and event.type in JOB_ENDED


def _reset(event_filter: EventFilter, after: Position) -> bytes:
    """Render the message to a client whose next events are not kept any more: it must read its documents again."""
    about = {"job_id": str(event_filter.job_id)} if event_filter.job_id else {}
    document = json.dumps({"type": RESET_TYPE, "data": about}, separators=(",", ":"))
    return f"id: {after}\nevent: {RESET_TYPE}\ndata: {document}\n\n".encode()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _query(scope: Scope) -> dict[str, str]:
    try:
        pairs = parse_qsl(scope.get("query_string", b"").decode("latin-1"), max_num_fields=_MAX_QUERY_FIELDS)
    except ValueError as error:
        raise Problem(status=400, code="invalid_query", detail="The query has too many fields.") from error
    for name, _ in pairs:
        if name not in _FIELDS:
            raise invalid_field(name, f"unknown field; known are: {', '.join(_FIELDS)}")
    return dict(pairs)


def _types_requested(query: Mapping[str, str]) -> frozenset[str]:
    types = frozenset(filter(None, query.get("types", "").split(",")))
    if not types <= frozenset(EVENT_TYPES):
        raise invalid_field("types", f"must be some of: {', '.join(EVENT_TYPES)}")
    return types


def _last_seen(scope: Scope, query: Mapping[str, str]) -> Position | None:
    """Return the last event that the client saw: browsers send a header when they reconnect, others a parameter."""
    text = header(scope, b"last-event-id") or query.get("last_event_id")
    try:
        return Position.parse(text) if text else None
    except ValueError as error:
        raise invalid_field("last_event_id", str(error)) from None
