"""Locks that spare work: several processes that would do the same costly thing at once do it one after the other.

Redis's own lock in redis-py: a random token names the owner, it expires, and nobody but its owner extends or releases
it. Nothing may depend on one to be correct. A lock is open, for everybody, where there is no Redis, and within the
server's timeout where Redis is dead or hangs; a process that is killed leaves it to expire.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis.exceptions import LockError
from redis.lock import Lock

from coordination.server import Away, Server

log = logging.getLogger(__name__)

EXPIRY_SECONDS = 10.0
"""How long a lock outlives an owner that was killed: long against a stutter of a busy machine, short for who waits."""
_EXTENSIONS = 3
"""How many times a lock is extended before it would expire, so that two of them may fail."""
_LOOK_SECONDS = 0.1


def _nothing() -> None:
    """Do nothing while waiting."""


class Locks:
    """One process's way to the locks. Any number of threads may use it. `server` None: every lock is open."""

    def __init__(self, server: Server | None, *, expiry_seconds: float = EXPIRY_SECONDS) -> None:
        self._server = server
        self._expiry_seconds = expiry_seconds

    @contextmanager
    def held(self, name: str, *, wait_seconds: float = 0.0, on_wait: Callable[[], None] = _nothing) -> Iterator[bool]:
        """Hold a lock for the length of a `with`, and say whether nobody else should be doing the same.

        Waits for another owner for `wait_seconds` at most, calling `on_wait` again and again meanwhile. False: somebody
        else still holds it; the caller decides whether to do without the work or to do it all the same.
        """
        lock = self._taken(name, wait_seconds, on_wait)
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
            self._ask(lock.release)

    def _taken(self, name: str, wait_seconds: float, on_wait: Callable[[], None]) -> Lock | bool:
        """Return the lock once it is ours; True where it is open, False where another owner outlasted the wait."""
        if self._server is None:
            return True
        lock = self._server.lock(f"lock:{name}", expiry_seconds=self._expiry_seconds)
        until = time.monotonic() + wait_seconds
        while (taken := self._ask(lock.acquire)) is False:
            if time.monotonic() >= until:
                return False
            on_wait()
            time.sleep(_LOOK_SECONDS)
        return lock if taken else True

    def _extend(self, lock: Lock, over: threading.Event) -> None:
        """Extend the lock until the work is over or the lock is somebody else's."""
        while not over.wait(self._expiry_seconds / _EXTENSIONS):
            if self._ask(lock.reacquire) is False:
                log.warning("lock lost: %s", lock.name, extra={"event": "lock_lost", "lock": lock.name})
                return

    def _ask(self, question: Callable[[], bool | None]) -> bool | None:
        """Ask Redis something about a lock. False: it is somebody else's. None: Redis does not answer."""

        def answer() -> bool:
            try:
                return question() is not False
            except LockError:  # which is an answer, although the library calls it an error of Redis
                return False

        try:
            return self._server.ask(answer) if self._server else None
        except Away:
            return None
