"""The server of the relay: uvicorn, with an end that lets streams end first."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from api.asgi import App
from relay.http.connections import LiveHttp
from relay.http.keeper import RelayKeeper
from relay.http.recording import SessionRecords
from relay.runs.registry import Registry

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.25
_CLOSE_SECONDS = 5
"""Time of connections once all streams have ended."""


class RelayServer(uvicorn.Server):
    """Serves until a signal: then new streams are refused, those that run have their grace. A second signal ends all.

    `closes` is called in a thread when nothing runs any more.
    """

    def __init__(  # noqa: PLR0913 - all of a process
        self,
        app: App,
        registry: Registry,
        keeper: RelayKeeper,
        records: SessionRecords,
        *,
        host: str,
        port: int,
        grace_seconds: float,
        closes: Callable[[], object] = lambda: None,
    ) -> None:
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            http=LiveHttp,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_CLOSE_SECONDS,
        )
        super().__init__(config)
        self._registry = registry
        self._keeper = keeper
        self._records = records
        self._grace_seconds = grace_seconds
        self._closes = closes
        self._ordered = asyncio.Event()
        self._at_once = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Drain at the first signal, and end all at the second one."""
        if self._ordered.is_set() or sig == signal.SIGINT:
            self._at_once.set()
        self._ordered.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and begin to report."""
        await super().startup(sockets)
        if not self.should_exit:
            self._keeper.start()
            self._ending = asyncio.create_task(self._end_in_order())
            ports = [listener.getsockname()[1] for server in self.servers for listener in server.sockets]
            log.info("relay listens", extra={"event": "relay_listening", "ports": ports})

    async def _end_in_order(self) -> None:
        await self._ordered.wait()
        self._registry.drain()
        await self._until_idle()
        await self._registry.close()
        await self._keeper.close()
        await asyncio.to_thread(self._records.close)
        await asyncio.to_thread(self._closes)
        self.should_exit = True

    async def _until_idle(self) -> None:
        """Wait until no stream runs any more, for no longer than the grace."""
        ends_at = asyncio.get_running_loop().time() + self._grace_seconds
        while self._registry.runs and asyncio.get_running_loop().time() < ends_at:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._at_once.wait()
            except TimeoutError:
                continue
            return
