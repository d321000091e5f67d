"""Response cache: rendered responses in Redis that are never staler than the request that reads them.

All responses of one document (`job:ID`) are fields of one hash, by variant: owner, host and query. Three mechanisms
keep them correct. docs/adr/0009-cache-invalidation.md has the reasons.

- **Lease.** On a cache miss the reader gets a lease, renders, and stores its response only while it has the lease. A
  write deletes the lease, so a response that was rendered from older rows is not stored. Other readers wait for the
  one that renders. A lease is a lock with its owner's token and an expiry. The script that reads also takes it, so it
  costs no extra round trip.
- **Fence.** Before a write commits, its transaction deletes the document and sets a fence. Nothing is stored while the
  fence stands. It is removed after the commit, and expires if the process died in between.
- **Epoch.** A response is valid in one epoch only. Reading processes renew the epoch while they reach Redis, so it ends
  when they have not for EPOCH_SECONDS. A process that could not set a fence requests a new epoch before it commits. It
  reads nothing from the cache until Redis has acknowledged that. A Redis that hung executes that request in the first
  turn of its loop.

While Redis is unavailable, every response is rendered.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from coordination.cache_scripts import CHANGE_FENCES, EXTEND_LEASE, NEW_EPOCH, READ, RENEW_EPOCH, STORE
from coordination.server import RedisUnavailable, Server
from observability import metrics

log = logging.getLogger(__name__)

EPOCH_SECONDS = 5.0
RENEW_SECONDS = 1.0
"""Interval at which a process renews the epoch and its leases, or retries to start a new epoch."""
FENCE_SECONDS = 10
"""Expiry of a fence. Longer than any transaction that changes documents; an early expiry alone breaks nothing."""
LEASE_SECONDS = 3.0
"""Expiry of a lease whose owner died. A living owner extends it every RENEW_SECONDS."""
WAIT_SECONDS = 2.0
"""Maximum wait for another reader's response. Longer than rendering one takes under normal load."""
HANG_SECONDS = 0.01
"""Shortest hang after which a writer may have given up: the minimum of TRANSCODER_CACHE_TIMEOUT_SECONDS."""
_POLL_SECONDS = 0.01
_MAX_POLL_SECONDS = 0.1

_EPOCH = "cache:epoch"


class _Lookup(StrEnum):
    """Result of READ."""

    HIT = "hit"
    LEASE = "lease"
    BUSY = "busy"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendered response and its time to live in seconds; 0: do not cache it."""

    body: bytes
    ttl_seconds: float


class ResponseCache:
    """One process's access to the cache. Processes that read call `start_renewal` once; writers need not."""

    def __init__(
        self,
        server: Server,
        *,
        max_ttl_seconds: float,
        wait_seconds: float = WAIT_SECONDS,
        lease_seconds: float = LEASE_SECONDS,
        epoch_seconds: float = EPOCH_SECONDS,
    ) -> None:
        self._server = server
        self._max_ttl_ms = max(1, int(max_ttl_seconds * 1000))
        self._wait_seconds = wait_seconds
        self._lease_ms = int(lease_seconds * 1000)
        self._epoch_ms = int(epoch_seconds * 1000)
        self._lock = threading.Lock()
        self._owes_new_epoch = False
        """This process could not set a fence, and Redis has not acknowledged a new epoch since."""
        self._one_way = server.one_way_connection()
        self._new_epoch_sent = False
        self._renewing = False
        self._leases: dict[bytes, tuple[str, str]] = {}
        """Leases of this process by token: key and variant of the response that is being rendered."""

    def get(self, kind: str, name: str, variant: str, render: Callable[[], Rendered]) -> bytes:
        """Return the response of `kind:name` for this variant: the cached one, or a new one by `render`."""
        found, value = self._look_up(kind, name, variant)
        if found is _Lookup.HIT:
            metrics.CACHE_HITS.add(kind=kind)
            return value
        metrics.CACHE_MISSES.add(kind=kind, reason="absent" if found is _Lookup.LEASE else found.value)
        if found is not _Lookup.LEASE:
            return render().body
        rendered = Rendered(b"", 0)  # releases the lease if `render` raises
        self._leases[value] = _key(f"{kind}:{name}"), variant
        try:
            rendered = render()
        finally:
            del self._leases[value]
            self._store(kind, name, variant, value, rendered)
        return rendered.body

    def fence(self, *documents: str) -> bool:
        """Delete documents (`kind:name`) and let nobody store them, before the commit that changes them.

        False if Redis did not acknowledge it. Then this process does not use the cache until a new epoch has started.
        """
        return self._change_fences(documents, 1)

    def unfence(self, *documents: str, fenced: bool) -> None:
        """Allow to store documents again, after the commit. Documents without a fence are deleted once more."""
        self._change_fences(documents, -1 if fenced else 0)

    def renew_epoch(self) -> None:
        """Renew the epoch, as a process that reads. Raises RedisUnavailable."""
        if not self._may_use_cache():
            raise RedisUnavailable
        self._connect_one_way()
        self._server.run(RENEW_EPOCH, [_EPOCH], self._epoch_arguments())

    def extend_leases(self) -> None:
        """Extend the leases of this process, so that slow responses are rendered once, too. Raises RedisUnavailable."""
        for token, (key, variant) in list(self._leases.items()):
            self._server.run(EXTEND_LEASE, [key], [variant, token, self._lease_ms])

    def start_renewal(self) -> None:
        """Renew the epoch and this process's leases in a thread, until the process ends."""
        self._renewing = True
        threading.Thread(target=self._renew_for_ever, name="cache-renewal", daemon=True).start()

    def _renew_for_ever(self) -> None:
        while True:
            try:
                self.renew_epoch()
                self.extend_leases()
            except RedisUnavailable:
                log.debug("cache unavailable")
            time.sleep(RENEW_SECONDS)

    def _change_fences(self, documents: Sequence[str], change: int) -> bool:
        if not self._may_use_cache():
            return False
        try:
            # Connect while Redis answers: once it hangs, a new epoch can only be requested on an open connection.
            self._connect_one_way()
            self._server.run(CHANGE_FENCES, [_key(each) for each in documents], [change, FENCE_SECONDS * 1000])
        except RedisUnavailable:
            self._request_new_epoch()
            return False
        return True

    def _connect_one_way(self) -> None:
        with self._lock:
            self._one_way.connect()

    def _may_use_cache(self) -> bool:
        """Return False while this process owes a new epoch. Tries to start one, without waiting."""
        if not self._owes_new_epoch:
            return True
        with self._lock:
            self._owes_new_epoch = self._owes_new_epoch and not self._new_epoch_started()
            return not self._owes_new_epoch

    def _request_new_epoch(self) -> None:
        """Request a new epoch without waiting for Redis. Nothing cached now is read once Redis has executed it."""
        with self._lock:
            retry = not (self._owes_new_epoch or self._renewing)
            self._owes_new_epoch = True
            # A request that was sent before is for an earlier change. If it is done or lost, this change needs another.
            if self._new_epoch_started() or not self._new_epoch_sent:
                self._new_epoch_started()
        if retry:
            threading.Thread(target=self._retry_new_epoch, name="cache-new-epoch", daemon=True).start()

    def _retry_new_epoch(self) -> None:
        """Retry until it is acknowledged, in a process without the renewal thread, which would do the same."""
        while not self._may_use_cache():
            time.sleep(RENEW_SECONDS)

    def _new_epoch_started(self) -> bool:
        """Read Redis's acknowledgement of a new epoch. Sends the request first, unless it is on its way."""
        try:
            if not self._new_epoch_sent:
                self._one_way.send(NEW_EPOCH, [_EPOCH], self._epoch_arguments())
            self._new_epoch_sent = True
            self._new_epoch_sent = not (acknowledged := self._one_way.acknowledged())
        except RedisUnavailable:
            acknowledged = self._new_epoch_sent = False
        return acknowledged

    def _look_up(self, kind: str, name: str, variant: str) -> tuple[_Lookup, bytes]:
        """Return what READ found, with the body or the token. Waits a moment for another reader that renders."""
        deadline = time.monotonic() + self._wait_seconds
        pause = _POLL_SECONDS
        while True:
            found, value = self._read(kind, name, variant)
            if found is not _Lookup.BUSY or time.monotonic() >= deadline:
                return found, value
            time.sleep(pause)
            pause = min(pause * 1.5, _MAX_POLL_SECONDS)

    def _read(self, kind: str, name: str, variant: str) -> tuple[_Lookup, bytes]:
        if not self._may_use_cache():
            return _Lookup.OFF, b""
        # A writer requests a new epoch while Redis hangs. Afterwards epoll may list a connection that was active just
        # before the hang ahead of the writer's, and a READ there hits the old epoch. Replies are written at the end of
        # that turn. So a hit counts only if Redis has replied a moment ago, or to a first READ.
        hung = not self._server.replied_within(HANG_SECONDS)
        try:
            found = self._run_read(kind, name, variant)
            return self._run_read(kind, name, variant) if hung and found[0] is _Lookup.HIT else found
        except RedisUnavailable:
            return _Lookup.OFF, b""

    def _run_read(self, kind: str, name: str, variant: str) -> tuple[_Lookup, bytes]:
        token = secrets.token_hex(8)
        arguments: list[str | int | bytes] = [variant, token, self._lease_ms, self._max_ttl_ms, self._epoch_ms]
        reply: list[Any] = self._server.run(READ, [_key(f"{kind}:{name}"), _EPOCH], arguments)
        return _Lookup(reply[0].decode()), reply[1] if len(reply) > 1 else b""

    def _store(self, kind: str, name: str, variant: str, token: bytes, rendered: Rendered) -> None:
        body = rendered.body if rendered.ttl_seconds > 0 else b""
        ttl_ms = min(self._max_ttl_ms, max(1, int(rendered.ttl_seconds * 1000)))
        try:
            self._server.run(STORE, [_key(f"{kind}:{name}")], [variant, token, body, ttl_ms])
        except RedisUnavailable:  # the lease expires by itself
            return

    def _epoch_arguments(self) -> list[str | int | bytes]:
        return [secrets.token_hex(8), self._epoch_ms]


def _key(document: str) -> str:
    return f"cache:{document}"
