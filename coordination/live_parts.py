"""Parts of the newest segments of live streams, in Redis, and word to players that there is something new.

Whole segments are in the store and their rows in PostgreSQL: without Redis streams have more latency, and nothing else.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from coordination.server import RedisUnavailable, Script, Server

PART_SECONDS = 60
"""Time to live of parts. Players of low latency are seconds behind."""
MAX_LISTED = 200
"""Parts of a broadcast that are listed: of ten renditions, those of five segments of four."""
_CHANNEL, _PART, _ROWS = "live", "part", "rows"
_RECONNECT_SECONDS = 0.5
_SILENT_SECONDS = 5.0
"""Interval at which a connection that only listens is checked."""

# KEYS: list of the parts, part, channel. ARGV: entry, bytes, time to live in seconds, listed parts, message.
_PUT = Script("""
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], -ARGV[4], -1)
redis.call('EXPIRE', KEYS[1], ARGV[3])
return redis.call('PUBLISH', KEYS[3], ARGV[5])
""")
_ANNOUNCE = Script("return redis.call('PUBLISH', KEYS[1], ARGV[1])")


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part of a segment. `ticks` is its length in units of its rendition's time scale."""

    segment: int
    index: int
    attempt: int
    """The attempt of the step that made it: a worker that takes over makes other bytes."""
    ticks: int
    independent: bool


Parts = Mapping[str, Mapping[int, Sequence[StoredPart]]]
"""Parts by the name of the rendition and the number of the segment, from its first one on and without a gap."""


class LiveParts:
    """Writes parts. Any number of threads may use it. Without Redis, or while it is unavailable, nothing happens."""

    def __init__(self, server: Server | None) -> None:
        self._server = server

    def put(  # noqa: PLR0913 - a part by its names, and its properties by theirs
        self,
        generation: UUID,
        rendition: str,
        segment: int,
        index: int,
        data: bytes,
        *,
        attempt: int,
        ticks: int,
        independent: bool,
    ) -> None:
        """Store a part for a minute, and wake the players of the broadcast."""
        entry = f"{rendition} {segment} {index} {attempt} {ticks} {independent:d}"
        keys = [_list_key(generation), _part_key(generation, rendition, segment, index, attempt), _CHANNEL]
        self._run(_PUT, keys, [entry, data, PART_SECONDS, MAX_LISTED, f"{generation} {_PART}"])

    def announce(self, generation: UUID) -> None:
        """Wake the players of a broadcast: its rows have changed, as by a new segment, or it has ended."""
        self._run(_ANNOUNCE, [_CHANNEL], [f"{generation} {_ROWS}"])

    def _run(self, script: Script, keys: Sequence[str], args: Sequence[str | int | bytes]) -> None:
        if self._server:
            with suppress(RedisUnavailable):
                self._server.run(script, keys, args)


@dataclass(frozen=True, slots=True)
class Announced:
    """Word of something new. `rows`: in the database, else a part."""

    generation: UUID
    rows: bool


class LiveFeed:
    """Reads parts and announcements in one event loop. Without Redis there are none."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self._redis: Redis | None = None
        if url:
            self._redis = Redis.from_url(
                url,
                socket_timeout=timeout_seconds,
                socket_connect_timeout=timeout_seconds,
                health_check_interval=_SILENT_SECONDS,
            )

    async def announcements(self) -> AsyncGenerator[Announced | bool]:
        """Yield what is announced, for ever. True: nothing is missed from now on. False: much may be, until True."""
        while self._redis:
            try:
                async with self._redis.pubsub() as channel:
                    await channel.subscribe(_CHANNEL)
                    yield True
                    while True:
                        message = await channel.get_message(ignore_subscribe_messages=True, timeout=_SILENT_SECONDS)
                        if message:
                            yield _announced(message["data"])
            except (RedisError, OSError):
                yield False
                await asyncio.sleep(_RECONNECT_SECONDS)

    async def parts(self, generation: UUID) -> Parts:
        """Read the newest parts of a broadcast. There are none while Redis is unavailable."""
        entries: Sequence[bytes] = await self._call("LRANGE", _list_key(generation), 0, -1) or ()
        return _ordered(_stored(entry) for entry in entries)

    async def part(self, generation: UUID, rendition: str, segment: int, index: int, attempt: int) -> bytes | None:
        """Read the bytes of a part. None: it is not there."""
        found: bytes | None = await self._call("GET", _part_key(generation, rendition, segment, index, attempt))
        return found

    async def close(self) -> None:
        if self._redis:
            await self._redis.aclose()

    async def _call(self, *command: str | int) -> Any:  # noqa: ANN401 - the command's own result
        try:
            return await self._redis.execute_command(*command) if self._redis else None  # type: ignore[no-untyped-call]
        except (RedisError, OSError):
            return None


def _stored(entry: bytes) -> tuple[str, StoredPart]:
    rendition, *numbers = entry.decode().split(" ")
    segment, index, attempt, ticks, independent = map(int, numbers)
    return rendition, StoredPart(segment, index, attempt, ticks, bool(independent))


def _ordered(entries: Iterable[tuple[str, StoredPart]]) -> Parts:
    """Sort parts. What a later attempt made counts, or what a new run of the same one made again."""
    found: dict[str, dict[int, list[StoredPart]]] = defaultdict(dict)
    for rendition, part in entries:
        known = found[rendition].setdefault(part.segment, [])
        newest = known[0].attempt if known else -1
        if part.index == 0 and part.attempt >= newest:
            known[:] = [part]
        elif part.attempt == newest and part.index == len(known):
            known.append(part)
    return found


def _announced(data: bytes) -> Announced:
    generation, _, what = data.decode().partition(" ")
    return Announced(UUID(generation), rows=what == _ROWS)


def _list_key(generation: UUID) -> str:
    return f"live:{generation}"


def _part_key(generation: UUID, rendition: str, segment: int, index: int, attempt: int) -> str:
    return f"live:{generation}:{rendition}:{segment}.{index}.{attempt}"
