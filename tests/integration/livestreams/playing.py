"""Players of live streams that speak ASGI, in the event loop of a test."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import close_old_connections

from api.asgi import Message, Scope
from coordination.live_parts import LiveFeed
from coordination.server import Server
from coordination.viewers import Viewers
from livestreams.playback.answers import Cors
from livestreams.playback.channel import Sources
from livestreams.playback.channels import Channels
from livestreams.playback.media import LiveMedia
from livestreams.playback.route import LiveStreams
from livestreams.playback.watching import Watching
from storage.protocol import ObjectStore
from videos.playback.delivery import Delivery

SECONDS = 60.0
"""Time in which everything happens that a test waits for, on a busy machine."""
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Got:
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        data = gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body
        return data.decode()


@dataclass(slots=True)
class Player:
    """Sends requests to the route."""

    app: LiveStreams
    user_agent: str = "player"
    address: str = "192.0.2.1"

    async def get(self, path: str, *, method: str = "GET", root_path: str = "", **headers: str) -> Got:
        path, _, query = path.partition("?")
        fields = {"user-agent": self.user_agent, **{name.replace("_", "-"): text for name, text in headers.items()}}
        scope: Scope = {
            "type": "http",
            "method": method,
            "path": f"{root_path}{path}",
            "root_path": root_path,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
            "client": (self.address, 1234),
        }
        sent: list[Message] = []

        async def receive() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Message) -> None:
            sent.append(message)

        await asyncio.wait_for(self.app(scope, receive, send), SECONDS)
        start, *rest = sent
        found = {name.decode(): value.decode() for name, value in start["headers"]}
        return Got(start["status"], found, b"".join(each["body"] for each in rest))

    def begin(self, path: str) -> asyncio.Task[Got]:
        """Send a request that waits."""
        return asyncio.create_task(self.get(path))


async def _no_app(scope: Scope, receive: object, send: Callable[[Message], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def a_player(
    store: ObjectStore,
    *,
    redis_url: str = "",
    origins: tuple[str, ...] = (),
    check_rate: Callable[[str], None] = lambda _: None,
    redirects: bool = False,
    viewers: Server | None = None,
    sources: dict[str, Any] | None = None,
) -> AsyncIterator[Player]:
    """Build the route on a store, and perhaps a Redis."""
    feed = LiveFeed(redis_url, timeout_seconds=SECONDS)
    channels = Channels(Sources(parts=feed.parts, **(sources or {})), feed.announcements)
    watching = Watching(Viewers(viewers), seconds=0.05)
    delivery = Delivery(store=store, redirects=redirects, presign_seconds=600)
    media = LiveMedia(lambda: delivery, feed.part)
    try:
        yield Player(LiveStreams(_no_app, channels, media, watching, cors=Cors(origins), check_rate=check_rate))
    finally:
        await channels.close()
        await watching.close()
        await feed.close()


async def in_thread(function: Callable[[], Result]) -> Result:
    """Do something with the database, whose connection is then closed."""

    def call() -> Result:
        try:
            return function()
        finally:
            close_old_connections()

    return await sync_to_async(call, thread_sensitive=False)()
