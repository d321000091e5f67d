"""How fast a client may ask: the generic cell rate algorithm, which is a bucket that drains steadily.

The state is one moment per client: when the bucket will be empty. All processes share it in Redis, on Redis's clock
and in one step, so that 1,000 parallel requests get exactly what one after the other would. While Redis is away each
process keeps a stricter bucket of its own.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from coordination.server import Away, Script, Server

STRICTER = 10
"""By how much the limit is divided while every process counts for itself."""
MOST_CLIENTS = 10_000

_MICROSECONDS = 1_000_000

# Answers {allowed, microseconds until the bucket is empty, microseconds until the next request is let through}.
_TAKE = Script("""
local now = redis.call('TIME')
local us = now[1] * 1000000 + now[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local empty = math.max(us, tonumber(redis.call('GET', KEYS[1]) or '0'))
local wait = empty + interval - burst * interval - us
if wait > 0 then return {0, string.format('%.0f', empty - us), string.format('%.0f', wait)} end
empty = empty + interval
redis.call('SET', KEYS[1], string.format('%.0f', empty), 'PX', math.ceil((empty - us) / 1000))
return {1, string.format('%.0f', empty - us), '0'}
""")


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests a minute, all of them at once if one likes."""

    per_minute: int

    @property
    def interval(self) -> int:
        """Microseconds that one request takes from the bucket."""
        return max(1, 60 * _MICROSECONDS // self.per_minute)

    @property
    def stricter(self) -> "Rate":
        return Rate(max(1, self.per_minute // STRICTER))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request is let through, how many more would be at once, and seconds: until all, until the next."""

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: int
    retry_after_seconds: int


class RateLimiter:
    """Any number of threads may use it. `server` None: every process counts for itself."""

    def __init__(self, server: Server | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._buckets: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()
        self._clock = clock

    def take(self, who: str, rate: Rate) -> Verdict:
        """Ask for one request of this client to be let through."""
        if self._server:
            try:
                return self._shared(self._server, who, rate)
            except Away:
                pass
        return self._own(who, rate.stricter)

    def _shared(self, server: Server, who: str, rate: Rate) -> Verdict:
        answer = server.run(_TAKE, [f"rate:{who}"], [rate.interval, rate.per_minute])
        return _verdict(rate, allowed=bool(answer[0]), filled=int(answer[1]), wait=int(answer[2]))

    def _own(self, who: str, rate: Rate) -> Verdict:
        now = int(self._clock() * _MICROSECONDS)
        with self._lock:
            empty = max(now, self._buckets.pop(who, 0))
            wait = empty + rate.interval - rate.per_minute * rate.interval - now
            if wait <= 0:
                empty += rate.interval
            self._buckets[who] = empty
            if len(self._buckets) > MOST_CLIENTS:
                self._buckets.popitem(last=False)
        return _verdict(rate, allowed=wait <= 0, filled=empty - now, wait=max(wait, 0))


def _verdict(rate: Rate, *, allowed: bool, filled: int, wait: int) -> Verdict:
    room = rate.per_minute * rate.interval - filled
    return Verdict(
        allowed=allowed,
        limit=rate.per_minute,
        remaining=max(0, room // rate.interval),
        reset_seconds=math.ceil(filled / _MICROSECONDS),
        retry_after_seconds=max(1, math.ceil(wait / _MICROSECONDS)) if not allowed else 0,
    )
