"""Django as an ASGI application: each request is handled by one thread of a fixed pool, from its body to its response.

Django's own handler crosses between the event loop and threads several times per request, which takes most of the
processor time of a short response.
"""

import asyncio
import contextvars
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from io import BytesIO
from typing import Any, TypeVar

from django.core.exceptions import RequestDataTooBig
from django.core.handlers.asgi import ASGIRequest, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.core.signals import request_started
from django.db import close_old_connections
from django.http import HttpResponse
from django.http.response import HttpResponseBase, StreamingHttpResponse
from django.urls import set_script_prefix

from api.asgi import Body, Receive, Scope, Send, refuse
from api.problems import Problem
from api.request_log import log_context
from api.turns import Turn, Turns

THREADS = 64
"""Requests that are handled at a time; more wait. Most wait for the database, which has a pool of its own.

Each party has fewer of them (see `api.turns`).
"""
BODY_SECONDS = 30.0
"""Deadline of a request's body, which is at most a megabyte here."""

Result = TypeVar("Result")


class DjangoInThreads(BaseHandler):
    """The handler, for a site with synchronous views and middleware only."""

    def __init__(self, turns: Turns, *, threads: int = THREADS, body_seconds: float = BODY_SECONDS) -> None:
        super().__init__()
        self._turns = turns
        self.load_middleware(is_async=False)
        self._body_seconds = body_seconds
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an HTTP request. A client that is gone before its body has arrived gets no response."""
        if scope["type"] != "http":
            raise ValueError(f"nothing but HTTP is served here, got {scope['type']}")
        arriving = Body(receive, drain_bytes=0)  # what was too slow is not waited for again
        try:
            async with asyncio.timeout(self._body_seconds):
                body = await _whole(arriving)
        except TimeoutError:
            detail = f"The request body took more than {self._body_seconds:.0f} s."
            await refuse(scope, arriving, send, Problem(status=408, code="request_timeout", detail=detail))
            return
        if body is None:
            return
        try:
            async with self._turns.turn(scope) as turn:
                response, content = await self._call(lambda: self._respond(scope, body, turn))
        except Problem as problem:
            await refuse(scope, arriving, send, problem)
            return
        await send({"type": "http.response.start", "status": response.status_code, "headers": _headers(response)})
        if content is not None:
            await send({"type": "http.response.body", "body": content})
            return
        try:
            await _until_gone(receive, self._stream(response, send))
        finally:
            await self._call(response.close)

    def _respond(self, scope: Scope, body: bytes, turn: Turn) -> tuple[HttpResponseBase, bytes | None]:
        """Return the closed response and its content; None where it is streamed, by the open response."""
        started = time.thread_time()
        try:
            with log_context(scope):
                return self._respond_in_context(scope, body)
        finally:
            turn.processor_seconds = time.thread_time() - started

    def _respond_in_context(self, scope: Scope, body: bytes) -> tuple[HttpResponseBase, bytes | None]:
        set_script_prefix(get_script_prefix(scope))
        request_started.send(sender=type(self), scope=scope)
        response = self._response(scope, body)
        if isinstance(response, StreamingHttpResponse):
            close_old_connections()  # streaming may take minutes, and goes on elsewhere
            return response, None
        content = response.content if isinstance(response, HttpResponse) else b""
        response.close()
        return response, content

    def _response(self, scope: Scope, body: bytes) -> HttpResponseBase:
        try:
            request = ASGIRequest(scope, BytesIO(body))
        except UnicodeDecodeError:
            return HttpResponse(status=400)
        except RequestDataTooBig:
            return HttpResponse(status=413)
        return self.get_response(request)

    async def _stream(self, response: HttpResponseBase, send: Send) -> None:
        """Send part by part, no faster than the client reads."""
        async with aclosing(self._parts(response)) as parts:
            async for part in parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _parts(self, response: Any) -> AsyncGenerator[bytes, None]:  # noqa: ANN401 - the stubs know no `streaming_content`
        if response.is_async:
            async for part in response.streaming_content:
                yield part
            return
        parts: Iterator[bytes] = iter(response.streaming_content)
        while (part := await self._call(lambda: next(parts, None))) is not None:
            yield part

    async def _call(self, function: Callable[[], Result]) -> Result:
        """Call a function in a thread of the pool, in a context of its own: nothing of an earlier request is in it."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, contextvars.Context().run, function)


async def _whole(receive: Receive) -> bytes | None:
    """Read a request's body. None: the client is gone."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _until_gone(receive: Receive, streaming: Coroutine[Any, Any, None]) -> None:
    """Run until it has ended or the client is gone."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    tasks = [asyncio.ensure_future(streaming), asyncio.ensure_future(gone())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        ended, _ = await asyncio.gather(*tasks, return_exceptions=True)
    if isinstance(ended, Exception):
        raise ended


def _headers(response: HttpResponseBase) -> list[tuple[bytes, bytes]]:
    fields = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
    cookies = [
        (b"Set-Cookie", cookie.output(header="").strip().encode("ascii")) for cookie in response.cookies.values()
    ]
    return fields + cookies
