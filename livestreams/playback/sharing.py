"""Results that many requests are for at once: created once, and kept for a while."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(slots=True)
class _Entry(Generic[Value]):
    task: asyncio.Task[Value]
    expires_at: float
    weight: int = 1


class Shared(Generic[Key, Value]):
    """Makes values in one event loop, each by one task at a time, and keeps the last ones up to a weight.

    Errors are kept for nobody but those who wait for the same task.
    """

    def __init__(
        self,
        make: Callable[[Key], Awaitable[Value]],
        *,
        seconds: float,
        max_weight: int,
        weigh: Callable[[Value], int] = lambda _: 1,
    ) -> None:
        self._make = make
        self._seconds = seconds
        self._max_weight = max_weight
        self._weigh = weigh
        self._entries: OrderedDict[Key, _Entry[Value]] = OrderedDict()
        self._weight = 0

    async def get(self, key: Key) -> Value:
        """Return the value of a key, perhaps one that is so many seconds old. Raises what making it raises."""
        found = self._entries.get(key)
        if found is None or (found.task.done() and time.monotonic() >= found.expires_at):
            self._forget(key)
            found = self._begin(key)
        self._entries.move_to_end(key)
        return await asyncio.shield(found.task)  # whoever leaves does not end it for the others

    def _begin(self, key: Key) -> _Entry[Value]:
        entry = _Entry(asyncio.ensure_future(self._make(key)), time.monotonic() + self._seconds)
        self._entries[key] = entry
        self._weight += entry.weight
        entry.task.add_done_callback(lambda task: self._done(key, entry, task))
        return entry

    def _done(self, key: Key, entry: "_Entry[Value]", task: "asyncio.Task[Value]") -> None:
        if self._entries.get(key) is not entry:
            return
        if task.cancelled() or task.exception():
            self._forget(key)
            return
        weight = self._weigh(task.result())
        self._weight += weight - entry.weight
        entry.weight = weight
        while self._weight > self._max_weight and len(self._entries) > 1:
            oldest = next(iter(self._entries))
            self._forget(oldest)

    def _forget(self, key: Key) -> None:
        if entry := self._entries.pop(key, None):
            self._weight -= entry.weight
