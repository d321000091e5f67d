"""Turns of those who send requests: nobody occupies all threads, and a flood waits behind itself.

A party is whoever a request counts for: the owner of its key, or its network address. One that uses more than its share
of the processor while others are served has one turn at a time.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from api.asgi import Scope
from api.problems import over_limit
from api.shares import ProcessorShares

PartyOf = Callable[[Scope], str]
"""Names the party of a request, from memory: it runs in the event loop."""
MAX_WAITING = 128
"""Requests of one party that wait for their turn; each holds a body of up to a megabyte."""


@dataclass(slots=True)
class Turn:
    """The turn of a request. Whoever handles it says what it cost."""

    processor_seconds: float = 0.0


class Turns:
    """At most `total` requests at a time, and of each party as many as `limit_of` says. Waiting parties take turns.

    For one event loop.
    """

    def __init__(
        self,
        party_of: PartyOf,
        *,
        total: int,
        limit_of: Callable[[str], int],
        max_waiting: int = MAX_WAITING,
        shares: ProcessorShares | None = None,
    ) -> None:
        self._party_of = party_of
        self._total = total
        self._limit_of = limit_of
        self._max_waiting = max_waiting
        self._shares = shares or ProcessorShares()
        self._running: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, scope: Scope) -> AsyncGenerator[Turn, None]:
        """Wait for the turn of a request and hold it. Raises Problem (429) when too many of its party wait."""
        party = self._party_of(scope)
        self._shares.arrived(party)
        await self._enter(party)
        turn = Turn()
        try:
            yield turn
        finally:
            self._shares.charge(party, turn.processor_seconds)
            self._leave(party)

    async def _enter(self, party: str) -> None:
        if party not in self._waiting and self._may_run(party):
            self._running[party] += 1
            return
        line = self._waiting.setdefault(party, deque())
        if len(line) >= self._max_waiting:
            detail = f"{self._max_waiting} of your requests wait for others of yours. Send fewer at a time."
            raise over_limit("too_many_requests", detail, retry_after_seconds=1)
        slot = asyncio.get_running_loop().create_future()
        line.append(slot)
        try:
            await slot
        except asyncio.CancelledError:
            self._leave_line(party, slot)
            raise

    def _leave_line(self, party: str, slot: asyncio.Future[None]) -> None:
        """Undo the wait of a request whose client is gone, whether or not its turn has just come."""
        if slot.done() and not slot.cancelled():
            self._leave(party)
            return
        line = self._waiting.get(party, deque())
        if slot in line:  # else it was passed over already
            line.remove(slot)
            if not line:
                del self._waiting[party]

    def _leave(self, party: str) -> None:
        self._running[party] -= 1
        if not self._running[party]:
            del self._running[party]
        while self._admit_next():
            pass

    def _may_run(self, party: str) -> bool:
        limit = 1 if self._shares.exceeded(party) else self._limit_of(party)
        return self._running.total() < self._total and self._running[party] < limit

    def _admit_next(self) -> bool:
        """Give one turn to the first party in line that may have it, and put the party last."""
        party = next((each for each in self._waiting if self._may_run(each)), None)
        if party is None:
            return False
        line = self._waiting[party]
        slot = line.popleft()
        self._waiting.move_to_end(party)
        if not line:
            del self._waiting[party]
        if not slot.cancelled():
            self._running[party] += 1
            slot.set_result(None)
        return True
