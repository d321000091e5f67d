"""Response cache: rendered responses in Redis.

While Redis works, a reader sees every change that was committed before its request, through any process. Otherwise a
response is at most as old as its time to live. docs/adr/0014-cache-bounds.md has the reasons.

- **Lease.** On a cache miss one reader gets a lease, renders, and stores its response only while it has the lease.
  Other readers wait for it. A write deletes the lease, so a response rendered from older rows is not stored.
- **Fence.** Before a write commits, its transaction deletes the document and sets a fence. No lease is given while it
  stands. It is removed after the commit, and expires if the process died in between.
- **Time to live.** It counts from the lease, which is older than the rows that were read. It bounds the age of
  responses that a writer could not delete, because Redis did not answer or came back with older data.
"""

import itertools
import secrets
import time
from collections.abc import Callable
from contextlib import suppress

from coordination.server import RedisUnavailable, Script, Server
from observability import metrics

FENCE_SECONDS = 10.0
"""Expiry of a fence. Longer than any transaction that changes documents."""
LEASE_SECONDS = 3.0
"""Expiry of a lease. Rendering takes less under normal load; after the death of its owner others wait for it."""
WAIT_SECONDS = 2.0
"""Maximum wait for another reader's response."""
_POLL_SECONDS = 0.01
_MAX_POLL_SECONDS = 0.1

_HIT, _LEASE, _BUSY, _OFF = b"hit", b"lease", b"busy", b"off"

# All responses of a document are fields of one hash, by variant: owner, host and query. So a write deletes all of them.
# `#lease:VARIANT` is a lease: the time in ms at which it was taken, and its owner's token. All times are Redis's.
# The hash expires when its first response does. `KEY:fences` is a sorted set: tokens of fences by expiry in ms.

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function ms(number) return string.format('%.0f', number) end
"""

# KEYS: document. ARGV: variant, token, lease ms, maximum TTL ms.
# Returns "hit" and the body; "lease" and a lease: render and store; "busy": another reader renders; "off": a fence.
_READ = Script(f"""
local field = '#lease:' .. ARGV[1]
local body, lease = unpack(redis.call('HMGET', KEYS[1], ARGV[1], field))
if body then return {{'hit', body}} end
if redis.call('EXISTS', KEYS[1] .. ':fences') == 1 then return {{'off', ''}} end
{_NOW}
if lease and now < string.match(lease, '%d+') + ARGV[3] then return {{'busy', ''}} end
lease = ms(now) .. ' ' .. ARGV[2]
redis.call('HSET', KEYS[1], field, lease)
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIREAT', KEYS[1], ms(now + ARGV[4])) end
return {{'lease', lease}}
""")

# KEYS: document. ARGV: variant, lease, body ('': store nothing), TTL ms. Releases the lease.
# Returns 0 if the lease is lost: a write has deleted the document, or another reader got a lease after it expired.
_STORE = Script(f"""
local field = '#lease:' .. ARGV[1]
if redis.call('HGET', KEYS[1], field) ~= ARGV[2] then return 0 end
{_NOW}
local expiry = string.match(ARGV[2], '%d+') + ARGV[4]
if ARGV[3] ~= '' and now < expiry then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
    if now + redis.call('PTTL', KEYS[1]) > expiry then redis.call('PEXPIREAT', KEYS[1], ms(expiry)) end
end
redis.call('HDEL', KEYS[1], field)
return 1
""")

# KEYS: documents. ARGV: token, fence ms. Several writers may have fences at once.
_FENCE = Script(f"""
{_NOW}
for _, key in ipairs(KEYS) do
    redis.call('DEL', key)
    redis.call('ZADD', key .. ':fences', ms(now + ARGV[2]), ARGV[1])
    redis.call('PEXPIRE', key .. ':fences', ARGV[2])
end
return 1
""")

# KEYS: documents. ARGV: token. Deletes the documents again: the fence may have expired before the commit.
# Removes expired fences of others, too: under steady writes the set itself never expires.
_UNFENCE = Script(f"""
{_NOW}
for _, key in ipairs(KEYS) do
    redis.call('DEL', key)
    redis.call('ZREM', key .. ':fences', ARGV[1])
    redis.call('ZREMRANGEBYSCORE', key .. ':fences', '-inf', ms(now))
end
return 1
""")


class ResponseCache:
    """Access to the cache. Any number of threads may use it."""

    def __init__(
        self,
        server: Server,
        *,
        max_ttl_seconds: float,
        wait_seconds: float = WAIT_SECONDS,
        lease_seconds: float = LEASE_SECONDS,
        fence_seconds: float = FENCE_SECONDS,
    ) -> None:
        self._server = server
        self._max_ttl_ms = int(max_ttl_seconds * 1000)
        self._wait_seconds = wait_seconds
        self._lease_ms = int(lease_seconds * 1000)
        self._fence_ms = int(fence_seconds * 1000)
        self._reader = secrets.token_hex(8)
        self._lookups = itertools.count()

    def get(self, kind: str, name: str, variant: str, render: Callable[[], tuple[bytes, float]]) -> bytes:
        """Return the response of `kind:name` for this variant: the cached one, or a new one by `render`.

        `render` returns the response and its time to live in seconds.
        """
        key = _key(f"{kind}:{name}")
        found, value = self._look_up(key, variant)
        if found == _HIT:
            metrics.CACHE_HITS.add(kind=kind)
            return value
        metrics.CACHE_MISSES.add(kind=kind, reason="absent" if found == _LEASE else found.decode())
        if found != _LEASE:
            return render()[0]
        body, ttl_seconds = b"", 0.0  # releases the lease if `render` raises
        try:
            body, ttl_seconds = render()
        finally:
            with suppress(RedisUnavailable):  # the lease expires by itself
                self._server.run(_STORE, [key], [variant, value, body, int(ttl_seconds * 1000)])
        return body

    def fence(self, *documents: str) -> str | None:
        """Delete documents (`kind:name`) and let nobody store them, before the commit that changes them.

        Returns the fence, to be removed after the commit; None if Redis is unavailable.
        """
        token = secrets.token_hex(8)
        try:
            self._server.run(_FENCE, [_key(each) for each in documents], [token, self._fence_ms])
        except RedisUnavailable:
            return None
        return token

    def unfence(self, fence: str, *documents: str) -> None:
        """Allow to store documents again, after the commit."""
        with suppress(RedisUnavailable):  # the fence expires by itself
            self._server.run(_UNFENCE, [_key(each) for each in documents], [fence])

    def _look_up(self, key: str, variant: str) -> tuple[bytes, bytes]:
        """Return what _READ found, with the body or the lease. Waits a moment for another reader that renders."""
        started, pause = time.monotonic(), _POLL_SECONDS
        token = f"{self._reader}-{next(self._lookups)}"  # random bytes for each would cost a system call
        arguments: list[str | int] = [variant, token, self._lease_ms, self._max_ttl_ms]
        while True:
            try:
                found, value = self._server.run(_READ, [key], arguments)
            except RedisUnavailable:
                return _OFF, b""
            if found != _BUSY or time.monotonic() - started >= self._wait_seconds:
                return found, value
            time.sleep(pause)
            pause = min(pause * 1.5, _MAX_POLL_SECONDS)


def _key(document: str) -> str:
    return f"cache:{document}"
