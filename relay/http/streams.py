"""Streams as responses: the first byte or a problem within the bounded start, then whatever the run has."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from uuid import UUID

from api.asgi import Body, Message, Receive, Scope, Send
from relay.errors import SessionEnded, StartTimeout
from relay.http.answers import stream_headers
from relay.http.connections import ABORT, CLOSING
from relay.runs.registry import Opens, Registry
from relay.runs.run import LiveRequest, Run
from relay.runs.viewers import Viewer
from relay.sources.pushed import PushedSource

SEND_SECONDS = 5.0
"""A viewer that has taken nothing for so long is dropped."""
CLOSE_SECONDS = 20.0
"""Time in which a client takes what was sent before the end."""
_LOOK_SECONDS = 0.25


class Streams:
    """Answers requests for streams."""

    def __init__(self, registry: Registry, *, start_seconds: float, send_seconds: float = SEND_SECONDS) -> None:
        self._registry = registry
        self._start_seconds = start_seconds
        self._send_seconds = send_seconds

    async def fetched(  # noqa: PLR0913, PLR0917 - a request, and what it wants
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        request: LiveRequest,
        key_id: UUID | None,
        opens: Opens,
        dismissed: asyncio.Event | None = None,
    ) -> None:
        """Answer with a stream of a source that we fetch, until the end or `dismissed`. Raises why it did not start."""
        run, viewer = self._registry.join(request, key_id=key_id, opens=opens)
        await self._until_gone([_gone(receive), _dismissed(scope, dismissed)], run, viewer, scope, send)

    async def pushed(  # noqa: PLR0913, PLR0917 - as above
        self,
        scope: Scope,
        body: Body,
        send: Send,
        request: LiveRequest,
        key_id: UUID | None,
        source: PushedSource,
        dismissed: asyncio.Event | None = None,
    ) -> None:
        """Answer with a stream of the source in the body, as `fetched`."""
        run, viewer = self._registry.join(request, key_id=key_id, opens=source.opened)
        try:
            gone = [_push(body, source), _closed(scope), _dismissed(scope, dismissed)]
            await self._until_gone(gone, run, viewer, scope, send)
        finally:
            source.close()

    async def _until_gone(
        self, gone: Iterable[Coroutine[object, object, None]], run: Run, viewer: Viewer, scope: Scope, send: Send
    ) -> None:
        """Stream until the end of the run, or until one of these says that the client is gone."""
        tasks = [asyncio.ensure_future(each) for each in (self._stream(run, viewer, scope, send), *gone)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            streamed, *_ = await asyncio.gather(*tasks, return_exceptions=True)
            run.leave(viewer)
        if isinstance(streamed, Exception):
            raise streamed

    async def _stream(self, run: Run, viewer: Viewer, scope: Scope, send: Send) -> None:
        block: bytes | None = await self._first(run, viewer)
        abort: Callable[[], object] = scope.get(ABORT, lambda: None)
        try:
            await self._send(send, {"type": "http.response.start", "status": 200, "headers": stream_headers(run)})
            while block is not None:
                await self._send(send, {"type": "http.response.body", "body": block, "more_body": True})
                run.sent(len(block))
                block = await run.read(viewer)
        except TimeoutError:
            run.drop(viewer)
        if viewer.outcome and viewer.outcome.is_broken:
            abort()  # a body that just ends would look complete
            return
        asyncio.get_running_loop().call_later(CLOSE_SECONDS, abort)
        try:
            await self._send(send, {"type": "http.response.body", "body": b""})
        except TimeoutError:
            abort()

    async def _first(self, run: Run, viewer: Viewer) -> bytes:
        """Wait for the first bytes of a viewer. Raises why there are none."""
        try:
            async with asyncio.timeout(self._start_seconds):
                block = await run.read(viewer)
        except TimeoutError:
            raise StartTimeout(f"there was no point to begin at within {self._start_seconds:g} s") from None
        if block is not None:
            return block
        outcome = viewer.outcome
        raise (outcome and outcome.error) or SessionEnded("the session was ended meanwhile")

    async def _send(self, send: Send, message: Message) -> None:
        async with asyncio.timeout(self._send_seconds):
            await send(message)


async def _dismissed(scope: Scope, dismissed: asyncio.Event | None) -> None:
    """Wait until the viewer may not watch any more, and cut it off."""
    await (dismissed or asyncio.Event()).wait()
    abort: Callable[[], object] = scope.get(ABORT, lambda: None)
    abort()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _push(body: Body, source: PushedSource) -> None:
    """Put a body into a source; return when the client is gone."""
    while not body.ended:
        message = await body()
        if message["type"] == "http.disconnect":
            return
        if block := message.get("body", b""):
            await source.push(block)
    source.finish()
    await _gone(body)


async def _closed(scope: Scope) -> None:
    """Wait until the connection is closed, which nobody hears of who waits for room."""
    closing: Callable[[], bool] = scope.get(CLOSING, lambda: False)
    while not closing():  # noqa: ASYNC110 - a transport has no event for it
        await asyncio.sleep(_LOOK_SECONDS)
