"""A cache of rendered answers that never shows a reader less than what was written before it asked.

All answers about one thing (`job:ID`) are fields of one hash, by variant: for whom and under which address.

- **Leases.** Who finds nothing is given a lease, makes the answer and may leave it only while that lease is there. So
  an answer that was made from rows read before a write never outlives that write, and others that ask meanwhile wait a
  moment for the one that is being made. A lease is a lock: it has its owner's token, expires, is extended while its
  owner is at work, and is given back by nobody else. It is taken by the very script that looks for the answer, so it
  costs no round trip; a Redis lock (`coordination.locks`) would, and no write would take it away.
- **Fences.** Before a write is committed, its transaction forgets the thing and puts up a fence: nothing is kept while
  it stands. It is taken down after the commit; a process that dies in between leaves it to run out. Fences of several
  writers are counted.
- **Epochs.** Answers are good for one epoch only. The processes that read keep it alive while they reach Redis, so it
  ends in every silence longer than EPOCH_SECONDS; a Redis that was started again is in none. A process that could not
  put up a fence leaves word, before it commits, to begin a new epoch, and reads nothing from here until that is done.
  A Redis that hangs does it first of all when it goes on. So it has nothing old to say to anybody.

Where Redis is away, everything is made anew each time.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from coordination.server import Away, Script, Server
from observability import metrics

log = logging.getLogger(__name__)

EPOCH_SECONDS = 5.0
KEEP_EPOCH_EVERY = 1.0
FENCE_SECONDS = 10
"""Longer than any transaction that changes what is shown; a fence that ran out too early costs no correctness alone."""
LEASE_SECONDS = 3.0
"""How long a lease outlives an owner that died; a living one extends it with every KEEP_EPOCH_EVERY."""
WAIT_SECONDS = 2.0
"""How long to wait for an answer that somebody else makes: longer than one takes that is made at all in good time."""
_LOOK_SECONDS = 0.01
_MOST_LOOK_SECONDS = 0.1

_EPOCH = "cache:epoch"

# Answers {"hit", body}; {"lease", token}: make it and fill; {"busy"}: somebody makes it; {"off"}: nothing is kept now.
# A server that has to be told how to read was started anew, and others may have changed what it kept meanwhile.
_READ = Script(
    """
local epoch = redis.call('GET', KEYS[2])
if not epoch then return {'off'} end
local body, kept_in, fence = unpack(redis.call('HMGET', KEYS[1], ARGV[1], '#epoch', '#fence'))
if fence then return {'off'} end
if kept_in and kept_in ~= epoch then
    redis.call('DEL', KEYS[1])
    body, kept_in = false, false
end
if body then return {'hit', body} end
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local lease = '#lease:' .. ARGV[1]
local until_ms = redis.call('HGET', KEYS[1], lease .. ':until')
if until_ms and tonumber(until_ms) > ms then return {'busy'} end
redis.call('HSET', KEYS[1], lease, ARGV[2], lease .. ':until', string.format('%.0f', ms + ARGV[3]), '#epoch', epoch)
if not kept_in then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return {'lease', ARGV[2]}
""",
    first="""
local now = redis.call('TIME')
return redis.call('SET', KEYS[2], now[1] .. '.' .. now[2], 'PX', ARGV[5])
""",
)

_EXTEND = Script("""
local lease = '#lease:' .. ARGV[1]
if redis.call('HGET', KEYS[1], lease) ~= ARGV[2] then return 0 end
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('HSET', KEYS[1], lease .. ':until', string.format('%.0f', ms + ARGV[3]))
return 1
""")

_FILL = Script("""
local lease = '#lease:' .. ARGV[1]
if redis.call('HGET', KEYS[1], lease) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], lease, lease .. ':until')
if ARGV[3] ~= '' then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
    local left = redis.call('PTTL', KEYS[1])
    if left > tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
end
return 1
""")

# Everything kept about these things goes, and so many fences (1: another one, -1: one less) stay.
_FENCES = Script("""
for _, key in ipairs(KEYS) do
    local fences = tonumber(redis.call('HGET', key, '#fence') or '0') + ARGV[1]
    redis.call('DEL', key)
    if fences > 0 then
        redis.call('HSET', key, '#fence', fences)
        redis.call('PEXPIRE', key, ARGV[2])
    end
end
return 1
""")

_KEEP_EPOCH = Script("""
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
""")
_NEW_EPOCH = Script("return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])")


class _Found(StrEnum):
    HIT = "hit"
    LEASE = "lease"
    BUSY = "busy"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Made:
    """A rendered answer and for how many seconds it may be kept; 0: not at all."""

    body: bytes
    seconds: float


class AnswerCache:
    """One process's way to the cache. `keep` once in a process that reads; writers need not."""

    def __init__(
        self,
        server: Server,
        *,
        seconds: float,
        wait_seconds: float = WAIT_SECONDS,
        lease_seconds: float = LEASE_SECONDS,
        epoch_seconds: float = EPOCH_SECONDS,
    ) -> None:
        self._server = server
        self._most_ms = max(1, int(seconds * 1000))
        self._wait_seconds = wait_seconds
        self._lease_ms = int(lease_seconds * 1000)
        self._epoch_ms = int(epoch_seconds * 1000)
        self._lock = threading.Lock()
        self._owes_epoch = False
        self._messenger = server.messenger()
        self._left_word = False
        self._keeping = False
        self._making: dict[bytes, tuple[str, str]] = {}
        """Leases of this process by token: the key and the variant of the answer that is being made."""

    def answer(self, kind: str, name: str, variant: str, make: Callable[[], Made]) -> bytes:
        """The answer about `kind:name` for this variant: the kept one, or the one that `make` makes."""
        found, token = self._look(kind, name, variant)
        if found is _Found.HIT:
            metrics.CACHE_HITS.add(kind=kind)
            return token
        metrics.CACHE_MISSES.add(kind=kind, reason="absent" if found is _Found.LEASE else found.value)
        if found is not _Found.LEASE:
            return make().body
        made = Made(b"", 0)  # gives the lease back where nothing can be made
        self._making[token] = _key(f"{kind}:{name}"), variant
        try:
            made = make()
        finally:
            del self._making[token]
            self._fill(kind, name, variant, token, made)
        return made.body

    def fence(self, *things: str) -> bool:
        """Forget things (`kind:name`) and keep nothing about them for now, before the commit that changes them.

        False where nobody heard of it: until a new epoch has begun, this process believes nothing that is kept.
        """
        return self._fences(things, 1)

    def clear(self, *things: str, fenced: bool) -> None:
        """The change is committed: answers may be kept again. What was kept without a fence is forgotten."""
        self._fences(things, -1 if fenced else 0)

    def _fences(self, things: Sequence[str], more: int) -> bool:
        if not self._in_epoch():
            return False
        try:
            self._get_ready()
            self._server.run(_FENCES, [_key(thing) for thing in things], [more, FENCE_SECONDS * 1000])
        except Away:
            self._end_epoch()
            return False
        return True

    def _get_ready(self) -> None:
        """Connect the messenger while Redis answers. Raises Away."""
        with self._lock:
            self._messenger.get_ready()

    def keep_epoch(self) -> None:
        """Say that readers reach Redis. Raises Away."""
        if not self._in_epoch():
            raise Away
        self._get_ready()
        self._server.run(_KEEP_EPOCH, [_EPOCH], self._new_epoch())

    def extend_leases(self) -> None:
        """Extend the leases of what this process is making, so that slow answers are made once, too. Raises Away."""
        for token, (key, variant) in list(self._making.items()):
            self._server.run(_EXTEND, [key], [variant, token, self._lease_ms])

    def keep(self) -> None:
        """Keep the epoch and this process's leases alive from a thread, for the rest of this process's life."""
        self._keeping = True
        threading.Thread(target=self._keep, name="cache-epoch", daemon=True).start()

    def _keep(self) -> None:
        while True:
            try:
                self.keep_epoch()
                self.extend_leases()
            except Away:
                log.debug("cache out of reach")
            time.sleep(KEEP_EPOCH_EVERY)

    def _in_epoch(self) -> bool:
        """Whether this process has nothing to make good; tries to, without waiting."""
        if not self._owes_epoch:
            return True
        with self._lock:
            self._owes_epoch = self._owes_epoch and not self._begun()
            return not self._owes_epoch

    def _end_epoch(self) -> None:
        """Leave word to begin a new one: nothing that is kept now will be shown once that is heard."""
        with self._lock:
            follow = not (self._owes_epoch or self._keeping)
            self._owes_epoch = True
            if self._begun() or not self._left_word:  # what was on its way was for an earlier change, or got lost
                self._begun()
        if follow:
            threading.Thread(target=self._make_good, name="cache-errand", daemon=True).start()

    def _make_good(self) -> None:
        """What `keep` does in a process that reads: not wait for the next change to try again."""
        while not self._in_epoch():
            time.sleep(KEEP_EPOCH_EVERY)

    def _begun(self) -> bool:
        """Whether the word that was left has been heard; leaves it where it is not on its way."""
        try:
            if not self._left_word:
                self._messenger.leave(_NEW_EPOCH, [_EPOCH], self._new_epoch())
            self._left_word = True
            self._left_word = not (heard := self._messenger.heard())
        except Away:
            heard = self._left_word = False
        return heard

    def _look(self, kind: str, name: str, variant: str) -> tuple[_Found, bytes]:
        """What is kept; waits a moment for what somebody else makes."""
        until = time.monotonic() + self._wait_seconds
        pause = _LOOK_SECONDS
        while True:
            found, token = self._read(kind, name, variant)
            if found is not _Found.BUSY or time.monotonic() >= until:
                return found, token
            time.sleep(pause)
            pause = min(pause * 1.5, _MOST_LOOK_SECONDS)

    def _read(self, kind: str, name: str, variant: str) -> tuple[_Found, bytes]:
        if not self._in_epoch():
            return _Found.OFF, b""
        token = secrets.token_hex(8)
        arguments: list[str | int | bytes] = [variant, token, self._lease_ms, self._most_ms, self._epoch_ms]
        try:
            answer: list[Any] = self._server.run(_READ, [_key(f"{kind}:{name}"), _EPOCH], arguments)
        except Away:
            return _Found.OFF, b""
        return _Found(answer[0].decode()), answer[1] if len(answer) > 1 else b""

    def _fill(self, kind: str, name: str, variant: str, token: bytes, made: Made) -> None:
        kept = made.body if made.seconds > 0 else b""
        milliseconds = min(self._most_ms, max(1, int(made.seconds * 1000)))
        try:
            self._server.run(_FILL, [_key(f"{kind}:{name}")], [variant, token, kept, milliseconds])
        except Away:  # the lease runs out by itself
            return

    def _new_epoch(self) -> list[str | int | bytes]:
        return [secrets.token_hex(8), self._epoch_ms]


def _key(thing: str) -> str:
    return f"cache:{thing}"
