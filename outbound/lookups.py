"""Finding the addresses of names, for no longer than there is time."""

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import cache
from typing import Any

MAX_LOOKUPS = 64
LOOK_SECONDS = 0.1
"""Time after which somebody who waits looks whether he still should."""


class Lookups:
    """The system's lookups of names. At most `limit` run at a time, those included for which nobody waits any more."""

    def __init__(self, limit: int = MAX_LOOKUPS, *, getaddrinfo: Callable[..., list[Any]] = socket.getaddrinfo) -> None:
        self._slots = threading.BoundedSemaphore(limit)
        self._getaddrinfo = getaddrinfo

    def find(self, host: str, port: int, ends_at: float, *, on_wait: Callable[[], object] = lambda: None) -> list[str]:
        """Find the addresses of a name, as text. Raises TimeoutError at `ends_at` (monotonic); gaierror, UnicodeError.

        `on_wait` is called again and again meanwhile, and may raise what ends the wait.

        The system's lookup has no time limit and cannot be cancelled: one whose name server is silent is left behind
        in its thread for as long as the system tries, about half a minute. When `limit` of them are, others wait, and
        can time out.
        """
        if not self._slots.acquire(timeout=_left(ends_at)):
            raise TimeoutError
        found: Future[list[str]] = Future()
        try:
            # A daemon, so that the process can end meanwhile.
            threading.Thread(target=self._run, args=(host, port, found), name="lookup", daemon=True).start()
        except BaseException:
            self._slots.release()
            raise
        while not wait([found], min(_left(ends_at), LOOK_SECONDS)).done:
            on_wait()
            if not _left(ends_at):
                raise TimeoutError
        return found.result()

    def _run(self, host: str, port: int, found: Future[list[str]]) -> None:
        try:
            entries = self._getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.set_result([str(entry[4][0]) for entry in entries])
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            found.set_exception(error)
        finally:
            self._slots.release()


@cache
def process_lookups() -> Lookups:
    """Return the lookups of this process: they bound how many run at a time."""
    return Lookups()


def _left(ends_at: float) -> float:
    return max(0.0, ends_at - time.monotonic())
