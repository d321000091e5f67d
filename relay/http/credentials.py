"""Keys of streams that are open: one that does not work any more ends its streams."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager

from access.callers import Presented

RECHECK_SECONDS = 30.0

Recheck = Callable[[Collection[Presented]], Awaitable[Collection[Presented]]]
"""Returns those of these credentials that still work."""

log = logging.getLogger(__name__)


class Credentials:
    """Credentials of open streams, checked now and then in one query for all."""

    def __init__(self, recheck: Recheck, *, seconds: float = RECHECK_SECONDS) -> None:
        self._recheck = recheck
        self._seconds = seconds
        self._open: dict[asyncio.Event, Presented] = {}
        self._checking: asyncio.Task[None] | None = None

    @contextmanager
    def watched(self, credential: Presented) -> Iterator[asyncio.Event]:
        """Watch a credential inside. The event is set once it does not work any more."""
        dismissed = asyncio.Event()
        self._open[dismissed] = credential
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._keep_checking())
        try:
            yield dismissed
        finally:
            del self._open[dismissed]

    async def _keep_checking(self) -> None:
        while self._open:
            await asyncio.sleep(self._seconds)
            watched = dict(self._open)  # whoever comes during the query has just shown one that works
            try:
                working = await self._recheck(set(watched.values()))
            except Exception:
                log.exception("keys of streams were not checked", extra={"event": "live_keys_unchecked"})
                continue
            for dismissed, credential in watched.items():
                if credential not in working:
                    dismissed.set()
