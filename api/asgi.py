"""What ASGI applications of ours share: types, problem documents, and what stands in front of Django."""

import asyncio
import contextlib
import contextvars
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.db import close_old_connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from api.problems import MEDIA_TYPE, Problem, too_large

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

Params = ParamSpec("Params")
Result = TypeVar("Result")

DRAIN_BYTES = 16 * 1024 * 1024
DRAIN_SECONDS = 2.0


def header(scope: Scope, name: bytes) -> str | None:
    """Look up a request header by its lower-case name."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


async def in_thread(function: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs) -> Result:
    """Call something that uses the database, with what Django does to its connections around a request."""

    def called() -> Result:
        close_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            close_old_connections()

    return await sync_to_async(called, thread_sensitive=False)()


def declared_length(scope: Scope) -> int | None:
    """Read Content-Length; None for a chunked body."""
    text = header(scope, b"content-length")
    return int(text) if text and text.isdecimal() else None


async def send_json(send: Send, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    """Answer with a whole JSON body."""
    await _start(send, status, "application/json", body, headers)
    await send({"type": "http.response.body", "body": body})


class Body:
    """A `receive` that counts the body and knows when it is over."""

    def __init__(
        self, receive: Receive, *, drain_bytes: int = DRAIN_BYTES, drain_seconds: float = DRAIN_SECONDS
    ) -> None:
        self._receive = receive
        self._drain_bytes = drain_bytes
        self._drain_seconds = drain_seconds
        self.size = 0
        self.ended = False

    async def __call__(self) -> Message:
        message = await self._receive()
        self.size += len(message.get("body", b""))
        self.ended = not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Throw a bounded part of the rest away, for a bounded time."""
        enough = self.size + self._drain_bytes
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain_seconds):
                while not self.ended and self.size < enough:
                    await self()


async def refuse(scope: Scope, body: Body, send: Send, problem: Problem) -> None:
    """Answer with a problem although the body may still be on its way."""
    await answer_early(scope, body, send, problem.status, MEDIA_TYPE, problem.body(scope["path"]), problem.headers)


async def answer_early(  # noqa: PLR0913, PLR0917 - a request, and what is answered
    scope: Scope, body: Body, send: Send, status: int, media_type: str, answer: bytes, headers: Mapping[str, str]
) -> None:
    """Answer although the body may still be on its way.

    Closing a socket with unread bytes in it resets the connection, and the client may lose the answer. So the answer
    goes out first, then some of the body is thrown away, then the connection is closed.
    """
    closing = {} if body.ended else {"Connection": "close"}
    await _start(send, status, media_type, answer, {**headers, **closing})
    await send({"type": "http.response.body", "body": answer, "more_body": True})
    if header(scope, b"expect") is None:  # a client that waits for 100 Continue has sent nothing
        await body.drain()
    await send({"type": "http.response.body", "body": b""})


async def _start(send: Send, status: int, media_type: str, body: bytes, headers: Mapping[str, str]) -> None:
    fields = {"Content-Type": media_type, "Content-Length": str(len(body)), **headers}
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


class InOneThread(ASGIHandler):
    """Django's handler for a site whose views and middleware are all synchronous, as REST framework's are.

    A request crosses into its thread once. Django's own handler would cross back to the event loop between the
    middleware and the view, and into the thread again, for a sixth of the processor time of a short answer.
    """

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - Django's signature
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        return await sync_to_async(self.get_response, thread_sensitive=True)(request)


class OwnContext:
    """Runs every request in a context of its own, in front of Django.

    asyncio hands the context of one request on to the next one of the same connection when that came before the first
    was over (python/cpython#140947), as players' requests do. Django finds a request's thread by the context, so both
    would share it, the first to end would end it, and the second one's database connection would never be given back.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def run() -> None:
            await self._app(scope, receive, send)

        await asyncio.create_task(run(), context=contextvars.Context())


class BodyLimit:
    """A cap on request bodies, in front of an application that spools them to disk before it looks at them (Django)."""

    def __init__(self, app: App, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = Body(receive)

        async def limited() -> Message:
            message = await body()
            self._check(body.size)
            return message

        try:
            self._check(declared_length(scope) or 0)
            await self._app(scope, limited, send)
        except _BodyTooLargeError:
            await refuse(scope, body, send, too_large(f"The request body is larger than {self._max_bytes} bytes."))

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise _BodyTooLargeError


class _BodyTooLargeError(Exception):
    pass
