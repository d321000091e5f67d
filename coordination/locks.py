"""Redis locks for efficiency: several processes do the same costly work one after the other instead of at once.

They wrap redis-py's own lock. A random token names the owner, the lock expires, and only its owner extends or releases
it. Correctness must not depend on a lock: without Redis every lock is open, and with a dead or hanging Redis it is open
within the server's timeout. The lock of a killed process expires.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis.exceptions import LockError
from redis.lock import Lock

from coordination.server import RedisUnavailable, Server

log = logging.getLogger(__name__)

EXPIRY_SECONDS = 10.0
"""Expiry of a killed owner's lock. Longer than delays of a busy machine, short enough for those who wait."""
_EXTENSIONS = 3
"""Number of extensions within the expiry, so that two of them may fail."""
_POLL_SECONDS = 0.1


def _nothing() -> None:
    """Do nothing while waiting."""


class Locks:
    """One process's access to the locks. Any number of threads may use it. Without a server every lock is open."""

    def __init__(self, server: Server | None, *, expiry_seconds: float = EXPIRY_SECONDS) -> None:
        self._server = server
        self._expiry_seconds = expiry_seconds

    @contextmanager
    def held(self, name: str, *, wait_seconds: float = 0.0, on_wait: Callable[[], None] = _nothing) -> Iterator[bool]:
        """Hold a lock for the duration of a `with`. Yields False if another owner still holds it after `wait_seconds`.

        The caller then decides whether to skip the work or to do it all the same. `on_wait` is called repeatedly while
        it waits. Yields True also if the lock is open.
        """
        lock = self._acquire(name, wait_seconds, on_wait)
        if not isinstance(lock, Lock):
            yield lock
            return
        over = threading.Event()
        extender = threading.Thread(target=self._extend, args=(lock, over), name=f"lock-{name}", daemon=True)
        extender.start()
        try:
            yield True
        finally:
            over.set()
            extender.join()
            self._call(lock.release)

    def _acquire(self, name: str, wait_seconds: float, on_wait: Callable[[], None]) -> Lock | bool:
        """Return the acquired lock; True if it is open, False if another owner holds it for longer than the wait."""
        if self._server is None:
            return True
        lock = self._server.lock(f"lock:{name}", expiry_seconds=self._expiry_seconds)
        until = time.monotonic() + wait_seconds
        while (acquired := self._call(lock.acquire)) is False:
            if time.monotonic() >= until:
                return False
            on_wait()
            time.sleep(_POLL_SECONDS)
        return lock if acquired else True

    def _extend(self, lock: Lock, over: threading.Event) -> None:
        """Extend the lock until the work is done or the lock is lost."""
        while not over.wait(self._expiry_seconds / _EXTENSIONS):
            if self._call(lock.reacquire) is False:
                log.warning("lock lost: %s", lock.name, extra={"event": "lock_lost", "lock": lock.name})
                return

    def _call(self, method: Callable[[], bool | None]) -> bool | None:
        """Call a method of a lock. False: another owner has it. None: Redis is unavailable."""

        def reply() -> bool:
            try:
                return method() is not False
            except LockError:  # a valid reply, although the library derives it from RedisError
                return False

        try:
            return self._server.call(reply) if self._server else None
        except RedisUnavailable:
            return None
