"""The broadcasts that are played from this process, and what makes them read what is new."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from uuid import UUID

from api.asgi import in_thread
from coordination.live_parts import Announced
from livestreams.playback.channel import LiveChannel, Sources
from livestreams.playback.reading import Playable, playable_find
from livestreams.playback.sharing import Shared

FOUND_SECONDS = 1.0
"""Time for which the broadcast of a stream is remembered: so much later players of an old one find a new one."""
_MAX_FOUND = 10_000
_TICK_SECONDS = 0.5
_LOOK_SECONDS = 2.0
"""Interval of reads of rows beside those that are announced: the end of a broadcast, or one behind a lost message."""
_IDLE_SECONDS = 30.0
"""Time after its last request at which a broadcast is forgotten."""

log = logging.getLogger(__name__)


class Channels:
    """Opens channels on request, and keeps them up to date while they are used. For one event loop."""

    def __init__(
        self,
        sources: Sources,
        announcements: Callable[[], AsyncIterator[Announced | bool]],
        *,
        find: Callable[[str], Playable | None] = playable_find,
    ) -> None:
        self._sources = sources
        self._announcements = announcements
        self._found: Shared[str, Playable | None] = Shared(
            lambda playback_id: in_thread(find, playback_id), seconds=FOUND_SECONDS, max_weight=_MAX_FOUND
        )
        self._opened: Shared[UUID, LiveChannel | None] = Shared(
            self._open, seconds=FOUND_SECONDS, max_weight=_MAX_FOUND
        )
        self._channels: dict[UUID, LiveChannel] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._connected = False

    async def find(self, playback_id: str) -> Playable | None:
        """Find what players of a stream get now."""
        return await self._found.get(playback_id)

    def known(self, generation_id: UUID) -> LiveChannel | None:
        """Return the channel of a broadcast that is played from here already."""
        found = self._channels.get(generation_id)
        if found is None or found.gone:
            return None
        found.used_at = time.monotonic()
        return found

    async def channel(self, generation_id: UUID) -> LiveChannel | None:
        """Return the channel of a broadcast. None: there is no such one, or it is not to be played."""
        found = self.known(generation_id) or await self._opened.get(generation_id)
        return None if found is None or found.gone else found

    async def close(self) -> None:
        """Stop following."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _open(self, generation_id: UUID) -> LiveChannel | None:
        if not self._tasks:  # here, since there is no event loop before
            self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._look())]
        channel = await LiveChannel.opened(generation_id, self._sources)
        if channel:
            self._channels[generation_id] = channel
            channel.poke(rows=True)  # what was announced while it was read
        return channel

    async def _follow(self) -> None:
        async for announced in self._announcements():
            if isinstance(announced, bool):
                self._connected = announced
                for channel in self._channels.values():
                    channel.poke(rows=True)
            elif followed := self._channels.get(announced.generation):
                followed.poke(rows=announced.rows)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            now = time.monotonic()
            for generation_id, channel in list(self._channels.items()):
                if channel.gone or now - channel.used_at > _IDLE_SECONDS:
                    del self._channels[generation_id]
                elif now - channel.read_at >= (_LOOK_SECONDS if self._connected else _TICK_SECONDS):
                    channel.poke(rows=True)
