"""The ASGI application of the relay: addresses, rights and rates. Django answers none of them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from uuid import UUID

from access.callers import Caller, presented
from api.asgi import Body, Message, Receive, Scope, Send, header, in_thread, path_below_prefix, refuse
from api.problems import Problem
from api.request_log import PROBES, describe_request
from api.turns import Turns
from observability import metrics
from observability.health import Health
from relay.http.answers import STREAM_HEADERS, send_document, send_head, send_text, stream_problem
from relay.http.credentials import Credentials
from relay.http.probes import Operations, Probes
from relay.http.queries import pushed_request, remux_request, transcode_request, without_key
from relay.http.streams import Streams
from relay.runs.registry import Opens
from relay.runs.run import LiveRequest
from relay.sources.pushed import PushedSource

TRANSCODE, PUSH, REMUX = "/transcode", "/transcode/stream", "/remux"
_REQUESTS: dict[str, Callable[[Scope, UUID], LiveRequest]] = {
    TRANSCODE: transcode_request,
    REMUX: remux_request,
    PUSH: pushed_request,
}
_METHODS = {
    TRANSCODE: ("GET", "HEAD"),
    REMUX: ("GET", "HEAD"),
    PUSH: ("POST", "HEAD"),
    **dict.fromkeys(PROBES, ("GET", "HEAD")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Checks of requests for streams, and the origin of their sources."""

    admit: Callable[[Scope], Caller]
    """Authenticates a request and counts it, in a thread. Raises Problem."""
    opens: Callable[[LiveRequest], Opens]
    """Returns what opens the source of a request."""
    pushed: Callable[[], PushedSource]
    credentials: Credentials


class RelayApp:
    """Answers the addresses of the relay."""

    def __init__(self, streams: Streams, operations: Operations, turns: Turns, doors: Doors) -> None:
        self._streams = streams
        self._probes = Probes(operations)
        self._turns = turns
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request: as a stream, a small document, or a problem."""
        path = path_below_prefix(scope)
        route = path if path in _METHODS else ""
        describe_request(scope, route=route)
        method = scope["method"] if scope["method"] in {"GET", "HEAD", "POST"} else "other"
        named = route.removeprefix("/") or "none"
        body, status, started = Body(receive), 0, time.monotonic()

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                metrics.HTTP_REQUESTS.add(method=method, route=named, status=status)
                metrics.HTTP_SECONDS.observe(time.monotonic() - started, method=method, route=named)
            await send(message)

        try:
            await self._answer(scope, path, body, counted)
        except Exception as error:
            if status:
                raise
            await refuse(scope, body, counted, stream_problem(error))

    async def _answer(self, scope: Scope, path: str, body: Body, send: Send) -> None:
        methods = _METHODS.get(path)
        if methods is None:
            raise Problem(status=HTTPStatus.NOT_FOUND, code="not_found", detail="There is nothing at this URL.")
        if scope["method"] not in methods:
            headers = {"Allow": ", ".join(methods)}
            detail = f"{scope['method']} is not allowed here."
            raise Problem(status=405, code="method_not_allowed", detail=detail, headers=headers)
        if path in PROBES:
            await self._probe(scope, path, send)
        else:
            await self._stream(without_key(scope), path, body, send)

    async def _stream(self, scope: Scope, path: str, body: Body, send: Send) -> None:
        async with self._turns.turn(scope):
            caller = await in_thread(self._doors.admit, scope)
        request = _REQUESTS[path](scope, caller.owner.id)
        if scope["method"] == "HEAD":
            await send_head(send, STREAM_HEADERS)
            return
        with self._doors.credentials.watched(presented(scope)) as dismissed:
            if path == PUSH:
                source = self._doors.pushed()
                await self._streams.pushed(scope, body, send, request, caller.key_id, source, dismissed)
            else:
                opens = self._doors.opens(request)
                await self._streams.fetched(scope, body, send, request, caller.key_id, opens, dismissed)

    async def _probe(self, scope: Scope, path: str, send: Send) -> None:
        if path == "/healthz":  # needs no thread
            await send_text(send, b"ok\n", "text/plain")
        elif path == "/metrics":
            host, _ = scope.get("client") or ("", 0)
            shown = await self._probes.metrics(header(scope, b"authorization"), host=host)
            if shown is None:
                raise Problem(status=401, code="not_authenticated", detail="The token of the scraper is required.")
            await send_text(send, shown, metrics.MEDIA_TYPE)
        elif path == "/readyz":
            document = await self._probes.ready()
            failed = document["status"] == Health.FAILED
            await send_document(send, document, status=503 if failed else 200)
        else:
            await send_document(send, await self._probes.health())
