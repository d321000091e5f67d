"""Refusals of rate limits, repeated without any work while they last."""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from api.asgi import App, Body, Message, Receive, Scope, Send, refuse
from api.problems import throttled
from api.turns import PartyOf

MAX_PAUSE_SECONDS = 5.0
"""Longest pause before a repeated refusal: it slows down each connection of a client that ignores Retry-After."""
_MAX_REMEMBERED = 10_000
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_LIMIT, _RESET, _RETRY_AFTER = b"ratelimit-limit", b"ratelimit-reset", b"retry-after"
_TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class _Refusal:
    limit: str
    reset_at: float
    retry_at: float


class RepeatedRefusals:
    """Middleware that answers 429 by itself until the Retry-After of an earlier 429 to the same party has passed.

    Only refusals by a rate count, which carry `RateLimit-Limit`, and reading and writing each for itself. Only parties
    with a known key are remembered: others may share an address with somebody whose key works.
    """

    def __init__(
        self,
        app: App,
        *,
        party_of: PartyOf,
        is_owner: Callable[[str], bool],
        max_pause_seconds: float = MAX_PAUSE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._party_of = party_of
        self._is_owner = is_owner
        self._max_pause_seconds = max_pause_seconds
        self._clock = clock
        self._refused: OrderedDict[tuple[str, bool], _Refusal] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        party = self._party_of(scope) if scope["type"] == "http" else ""
        if not self._is_owner(party):
            await self._app(scope, receive, send)
            return
        key = (party, scope["method"] in _READS)
        refusal = self._refused.get(key)
        if refusal and self._clock() < refusal.retry_at:
            await asyncio.sleep(min(self._max_pause_seconds, refusal.retry_at - self._clock()))
            await self._repeat(refusal, scope, receive, send)
            return

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == _TOO_MANY:
                self._remember(key, {name.lower(): value.decode("latin-1") for name, value in message["headers"]})
            await send(message)

        await self._app(scope, receive, watched)

    async def _repeat(self, refusal: _Refusal, scope: Scope, receive: Receive, send: Send) -> None:
        now = self._clock()
        retry_after = max(1, math.ceil(refusal.retry_at - now))
        headers = {
            "RateLimit-Limit": refusal.limit,
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(max(1, math.ceil(refusal.reset_at - now))),
            "Retry-After": str(retry_after),
        }
        await refuse(scope, Body(receive), send, throttled(retry_after, headers))

    def _remember(self, key: tuple[str, bool], headers: Mapping[bytes, str]) -> None:
        if _LIMIT not in headers or _RETRY_AFTER not in headers:
            return
        now = self._clock()
        self._refused[key] = _Refusal(
            limit=headers[_LIMIT],
            reset_at=now + float(headers.get(_RESET, "0")),
            retry_at=now + float(headers[_RETRY_AFTER]),
        )
        self._refused.move_to_end(key)
        if len(self._refused) > _MAX_REMEMBERED:
            self._refused.popitem(last=False)
