"""Viewers of live streams, counted without cookies: by HyperLogLogs in Redis, of a few seconds each."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from coordination.server import RedisUnavailable, Script, Server

SLOT_SECONDS = 10
"""Span of one count. Players of any kind read a playlist several times in it."""
_EXPIRY_SECONDS = 60

# KEYS: slot of a rendition, names of all renditions. ARGV: time to live, name, viewers.
_ADD = Script("""
redis.call('PFADD', KEYS[1], unpack(ARGV, 3))
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('SADD', KEYS[2], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[1])
return 1
""")

# KEYS: set of names. ARGV: prefix of the slots. Returns the count of all, then names and counts.
_COUNT = Script("""
local names = redis.call('SMEMBERS', KEYS[1])
local keys, found = {}, {0}
for _, name in ipairs(names) do
    local key = ARGV[1] .. name
    keys[#keys + 1] = key
    found[#found + 1] = name
    found[#found + 1] = redis.call('PFCOUNT', key)
end
if #keys > 0 then found[1] = redis.call('PFCOUNT', unpack(keys)) end
return found
""")
MAX_ADDED = 1000
"""Viewers of one rendition in a call: Lua's `unpack` has a limit of some thousands."""


@dataclass(frozen=True, slots=True)
class ViewerCounts:
    """Viewers of one broadcast. Who watched two renditions in a slot counts in both, and once in the total."""

    total: int
    renditions: Mapping[str, int]


class Viewers:
    """Counts viewers of all processes together. Without Redis, or while it is unavailable, nobody is counted."""

    def __init__(self, server: Server | None) -> None:
        self._server = server

    def add(self, generation: UUID, seen: Mapping[str, Collection[str]], *, now: float) -> None:
        """Count viewers, by rendition and by any name that is the same each time, at a time in Unix seconds."""
        prefix = _prefix(generation, _slot(now))
        for name, viewers in seen.items():
            for batch in _batches(viewers):
                self._run(_ADD, [f"{prefix}{name}", prefix], [_EXPIRY_SECONDS, name, *batch])

    def counts(self, generation: UUID, *, now: float) -> ViewerCounts | None:
        """Return the counts of the last whole slot. None: they are unknown."""
        prefix = _prefix(generation, _slot(now) - 1)
        reply = self._run(_COUNT, [prefix], [prefix])
        if not reply:
            return None
        total, *pairs = reply
        names, numbers = pairs[::2], pairs[1::2]
        return ViewerCounts(total, {name.decode(): count for name, count in zip(names, numbers, strict=True)})

    def _run(self, script: Script, keys: Sequence[str], args: Sequence[str | int]) -> Any:  # noqa: ANN401 - the script's own result
        if self._server:
            with suppress(RedisUnavailable):
                return self._server.run(script, keys, args)
        return None


def _batches(viewers: Collection[str]) -> Iterator[Sequence[str]]:
    each = list(viewers)
    return (each[start : start + MAX_ADDED] for start in range(0, len(each), MAX_ADDED))


def _slot(now: float) -> int:
    return math.floor(now / SLOT_SECONDS)


def _prefix(generation: UUID, slot: int) -> str:
    return f"viewers:{generation}:{slot}:"
