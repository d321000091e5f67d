"""Probes need no key: a crowd of them must cost neither the database nor the threads of those who have one."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol, TypeVar

from relay.http.recording import with_connection

CACHED_SECONDS = 1.0
"""Lifetime of a document."""
_THREADS = 2

Document = Mapping[str, object]
Result = TypeVar("Result")


class Operations(Protocol):
    """Facts that the relay publishes about itself. All are found in threads."""

    def ready(self) -> Document:
        """Return the document of /readyz, whose `status` is "failed" if it takes no requests."""
        ...

    def health(self) -> Document:
        """Return the document of /health."""
        ...

    def metrics(self, authorization: str | None, *, host: str) -> bytes | None:
        """Return the metrics; None: not to this client."""
        ...


class Probes:
    """Finds these facts in two threads of its own, and caches documents for a moment."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="probe")
        self._ready = _Cached(lambda: self._found(operations.ready))
        self._health = _Cached(lambda: self._found(operations.health))

    async def ready(self) -> Document:
        """Return the document of /readyz."""
        return await self._ready.document()

    async def health(self) -> Document:
        """Return the document of /health."""
        return await self._health.document()

    async def metrics(self, authorization: str | None, *, host: str) -> bytes | None:
        """Return the metrics; None: not to this client."""
        return await self._found(partial(self._operations.metrics, authorization, host=host))

    async def _found(self, find: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(with_connection, find))


class _Cached:
    """A document that is found once for all who want it meanwhile."""

    def __init__(self, find: Callable[[], Awaitable[Document]]) -> None:
        self._find = find
        self._finding = asyncio.Lock()
        self._document: Document = {}
        self._ends_at = 0.0

    async def document(self) -> Document:
        async with self._finding:
            if time.monotonic() >= self._ends_at:
                self._document = await self._find()
                self._ends_at = time.monotonic() + CACHED_SECONDS
            return self._document
