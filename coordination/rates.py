"""Rate limits by the generic cell rate algorithm (GCRA), a leaky bucket per client.

The state of a bucket is one time: when it will be empty. All processes share it in Redis, on Redis's clock and in one
atomic script. So 1,000 parallel requests get exactly what sequential ones would. While Redis is unavailable, each
process has buckets of its own with a lower limit.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from coordination.server import RedisUnavailable, Script, Server

LOCAL_DIVISOR = 10
"""Divisor of the limit while every process counts for itself."""
MAX_CLIENTS = 10_000
"""Maximum number of buckets of a process of its own."""

_MICROSECONDS = 1_000_000

# KEYS: bucket. ARGV: microseconds per request, requests of a full bucket.
# Returns {allowed, microseconds until the bucket is empty, microseconds until the next request is allowed}.
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
    """A number of requests per minute. They may come all at once."""

    per_minute: int

    @property
    def interval(self) -> int:
        """Microseconds for which one request fills the bucket."""
        return max(1, 60 * _MICROSECONDS // self.per_minute)

    def divided(self, divisor: int) -> "Rate":
        """Return the limit of a process that counts for itself."""
        return Rate(max(1, self.per_minute // divisor))


@dataclass(frozen=True, slots=True)
class RateDecision:
    """Result of one request."""

    allowed: bool
    limit: int
    remaining: int
    """Requests that would be allowed at once."""
    reset_seconds: int
    """Seconds until the bucket is empty."""
    retry_after_seconds: int
    """Seconds until the next request is allowed; 0 if this one was."""


class RateLimiter:
    """Leaky buckets, one per client. Threads may share it.

    Without a server the process counts for itself, with the limit over `local_divisor`.
    """

    def __init__(
        self,
        server: Server | None,
        *,
        local_divisor: int = LOCAL_DIVISOR,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._local_divisor = local_divisor
        self._buckets: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()
        self._clock = clock

    def take(self, who: str, rate: Rate) -> RateDecision:
        """Count one request of this client and decide about it."""
        if self._server:
            try:
                return self._shared(self._server, who, rate)
            except RedisUnavailable:
                pass
        return self._own(who, rate.divided(self._local_divisor))

    def _shared(self, server: Server, who: str, rate: Rate) -> RateDecision:
        reply = server.run(_TAKE, [f"rate:{who}"], [rate.interval, rate.per_minute])
        return _decision(rate, allowed=bool(reply[0]), filled=int(reply[1]), wait=int(reply[2]))

    def _own(self, who: str, rate: Rate) -> RateDecision:
        now = int(self._clock() * _MICROSECONDS)
        with self._lock:
            empty = max(now, self._buckets.pop(who, 0))
            wait = empty + rate.interval - rate.per_minute * rate.interval - now
            if wait <= 0:
                empty += rate.interval
            self._buckets[who] = empty
            if len(self._buckets) > MAX_CLIENTS:
                self._buckets.popitem(last=False)
        return _decision(rate, allowed=wait <= 0, filled=empty - now, wait=max(wait, 0))


def _decision(rate: Rate, *, allowed: bool, filled: int, wait: int) -> RateDecision:
    room = rate.per_minute * rate.interval - filled
    return RateDecision(
        allowed=allowed,
        limit=rate.per_minute,
        remaining=max(0, room // rate.interval),
        reset_seconds=math.ceil(filled / _MICROSECONDS),
        retry_after_seconds=max(1, math.ceil(wait / _MICROSECONDS)) if not allowed else 0,
    )
