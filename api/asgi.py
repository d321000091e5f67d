"""ASGI types, problem documents, and the ASGI middleware in front of Django."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import close_old_connections

from api.problems import MEDIA_TYPE, Problem, problem_count, too_large

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

Params = ParamSpec("Params")
Result = TypeVar("Result")

DRAIN_BYTES = 16 * 1024 * 1024
DRAIN_SECONDS = 2.0
"""Limits of the rest of a refused body that is read, so that the client gets the response."""


def header(scope: Mapping[str, Any], name: bytes) -> str | None:
    """Return a request header by its lower-case name, or None."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


async def in_thread(function: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs) -> Result:
    """Call a function that uses the database in a thread, closing stale connections as Django does around a request."""

    def call() -> Result:
        close_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            close_old_connections()

    return await sync_to_async(call, thread_sensitive=False)()


def path_below_prefix(scope: Scope) -> str:
    """Return the path of a request without the prefix of the site."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def threaded(function: Callable[Params, Result]) -> Callable[Params, Awaitable[Result]]:
    """Make a function that calls another one with `in_thread`."""

    async def call(*args: Params.args, **kwargs: Params.kwargs) -> Result:
        return await in_thread(function, *args, **kwargs)

    return call


def declared_length(scope: Mapping[str, Any]) -> int | None:
    """Return Content-Length, or None for a chunked body."""
    text = header(scope, b"content-length")
    return int(text) if text and text.isdecimal() else None


async def send_json(send: Send, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    """Send a complete JSON response."""
    await _start(send, status, "application/json", body, headers)
    await send({"type": "http.response.body", "body": body})


class Body:
    """Wrapper of `receive` that counts the bytes of the body and detects its end."""

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
        """Read and discard the rest of the body, within the limits of bytes and time."""
        enough = self.size + self._drain_bytes
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain_seconds):
                while not self.ended and self.size < enough:
                    await self()


async def refuse(scope: Scope, body: Body, send: Send, problem: Problem) -> None:
    """Respond with a problem, possibly before the body has arrived."""
    problem_count(problem)
    await respond_early(scope, body, send, problem.status, MEDIA_TYPE, problem.body(scope["path"]), problem.headers)


async def respond_early(  # noqa: PLR0913, PLR0917 - a request and its response
    scope: Scope, body: Body, send: Send, status: int, media_type: str, response: bytes, headers: Mapping[str, str]
) -> None:
    """Respond, possibly before the body has arrived.

    Closing a socket with unread bytes resets the connection, and the client may lose the response. So the response is
    sent first, then a part of the body is discarded, then the connection is closed.
    """
    closing = {} if body.ended else {"Connection": "close"}
    await _start(send, status, media_type, response, {**headers, **closing})
    await send({"type": "http.response.body", "body": response, "more_body": True})
    if header(scope, b"expect") is None:  # a client that waits for 100 Continue has sent nothing
        await body.drain()
    await send({"type": "http.response.body", "body": b""})


async def _start(send: Send, status: int, media_type: str, body: bytes, headers: Mapping[str, str]) -> None:
    fields = {"Content-Type": media_type, "Content-Length": str(len(body)), **headers}
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


class BodyLimit:
    """Middleware that limits request bodies, in front of Django, which gets each of them as a whole."""

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
