"""Turns of those who send requests: nobody occupies all threads, and a flood waits behind itself.

A party is whoever a request counts for: the owner of its key, or its network address.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from api.asgi import Scope
from api.problems import over_limit

PartyOf = Callable[[Scope], str]
"""Names the party of a request, from memory: it runs in the event loop."""
MAX_WAITING = 128
"""Requests of one party that wait for their turn; each holds a body of up to a megabyte."""
REST = 1.0
"""Seconds of rest for each second of processor time, for a party beside others: so it has half of a core at most.

All threads share one core, as only one of them can run Python at a time.
"""
_BESIDE_SECONDS = 1.0
"""Time for which a party counts as being there after its last request."""


@dataclass(slots=True)
class Turn:
    """The turn of one request."""

    seconds: float = 0.0
    """Processor time that it took, set by whoever handles it."""


class Turns:
    """At most `total` requests at a time, and of each party as many as `limit_of` says. Waiting parties take turns.

    A party for which `rests` is true rests after its requests while others are there, for as long as they took. For one
    event loop.
    """

    def __init__(
        self,
        party_of: PartyOf,
        *,
        total: int,
        limit_of: Callable[[str], int],
        rests: Callable[[str], bool] = lambda _: False,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._party_of = party_of
        self._total = total
        self._limit_of = limit_of
        self._rests = rests
        self._max_waiting = max_waiting
        self._running: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._resting: dict[str, float] = {}
        self._seen: OrderedDict[str, float] = OrderedDict()

    @asynccontextmanager
    async def turn(self, scope: Scope) -> AsyncGenerator[Turn, None]:
        """Wait for the turn of a request and hold it. Raises Problem (429) when too many of its party wait."""
        party = self._party_of(scope)
        self._see(party)
        await self._enter(party)
        turn = Turn()
        try:
            yield turn
        finally:
            self._rest(party, turn.seconds)
            self._leave(party)

    def _see(self, party: str) -> None:
        now = asyncio.get_running_loop().time()
        self._seen[party] = now
        self._seen.move_to_end(party)
        while next(iter(self._seen.values())) < now - _BESIDE_SECONDS:
            self._seen.popitem(last=False)

    def _rest(self, party: str, seconds: float) -> None:
        """Have a party rest until the others had the time that its request took."""
        if not seconds or not self._rests(party):
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        beside = any(seen > now - _BESIDE_SECONDS for other, seen in self._seen.items() if other != party)
        if beside:
            until = max(now, self._resting.get(party, 0.0)) + seconds * REST
            self._resting[party] = until
            loop.call_at(until, self._end_rest, party, until)

    def _end_rest(self, party: str, until: float) -> None:
        if self._resting.get(party) == until:  # else it rests for longer by now
            del self._resting[party]
            self._admit()

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
        self._admit()

    def _admit(self) -> None:
        while self._admit_next():
            pass

    def _may_run(self, party: str) -> bool:
        free = self._running.total() < self._total and self._running[party] < self._limit_of(party)
        return free and party not in self._resting

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
