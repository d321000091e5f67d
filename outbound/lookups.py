"""Finding the addresses of names, for no longer than there is time."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import cache
from typing import Any

MAX_LOOKUPS = 64
MAX_PARTY_LOOKUPS = 8
LOOK_SECONDS = 0.1
"""Time after which somebody who waits looks whether he still should."""


class Lookups:
    """The system's lookups of names. At most `limit` run at a time, those included for which nobody waits any more.

    Of those, at most `party_limit` are for one party, so that a name server that is silent holds up nobody else; and
    fewer where others have many, but one: several such parties together leave some to the next.
    """

    def __init__(
        self,
        limit: int = MAX_LOOKUPS,
        *,
        party_limit: int = MAX_PARTY_LOOKUPS,
        getaddrinfo: Callable[..., list[Any]] = socket.getaddrinfo,
    ) -> None:
        self._limit = limit
        self._party_limit = party_limit
        self._getaddrinfo = getaddrinfo
        self._changed = threading.Condition()
        self._running: Counter[str] = Counter()
        """Lookups of each party."""

    def find(
        self,
        host: str,
        port: int,
        ends_at: float,
        *,
        party: str = "",
        on_wait: Callable[[], object] = lambda: None,
    ) -> list[str]:
        """Find the addresses of a name, as text. Raises TimeoutError at `ends_at` (monotonic); gaierror, UnicodeError.

        `party`: who named it; empty: only the limit of all holds. `on_wait` is called again and again meanwhile, and
        may raise what ends the wait.

        The system's lookup has no time limit and cannot be cancelled: one whose name server is silent is left behind
        in its thread for as long as the system tries, about half a minute. When `limit` of them are, or as many
        as one party may have, others wait, and can time out.
        """
        self._begin(party, ends_at, on_wait)
        found: Future[list[str]] = Future()
        try:
            # A daemon, so that the process can end meanwhile.
            threading.Thread(target=self._run, args=(host, port, party, found), name="lookup", daemon=True).start()
        except BaseException:
            self._end(party)
            raise
        while not wait([found], min(_left(ends_at), LOOK_SECONDS)).done:
            on_wait()
            if not _left(ends_at):
                raise TimeoutError
        return found.result()

    def _begin(self, party: str, ends_at: float, on_wait: Callable[[], object]) -> None:
        """Wait for a slot, and take it. Raises TimeoutError; as `on_wait`."""
        while not self._take(party, min(_left(ends_at), LOOK_SECONDS)):
            on_wait()
            if not _left(ends_at):
                raise TimeoutError

    def _take(self, party: str, seconds: float) -> bool:
        with self._changed:
            free = self._changed.wait_for(lambda: self._has_slot(party), seconds)
            if free:
                self._running[party] += 1
            return free

    def _has_slot(self, party: str) -> bool:
        own, total = self._running[party], self._running.total()
        share = max(1, min(self._party_limit, (self._limit - total + own) // self._party_limit))
        return total < self._limit and (not party or own < share)

    def _end(self, party: str) -> None:
        with self._changed:
            self._running[party] -= 1
            self._running = +self._running  # without those that have none
            self._changed.notify_all()

    def _run(self, host: str, port: int, party: str, found: Future[list[str]]) -> None:
        try:
            entries = self._getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.set_result([str(entry[4][0]) for entry in entries])
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            found.set_exception(error)
        finally:
            self._end(party)


@cache
def process_lookups() -> Lookups:
    """Return the lookups of this process: they bound how many run at a time."""
    return Lookups()


def _left(ends_at: float) -> float:
    return max(0.0, ends_at - time.monotonic())
