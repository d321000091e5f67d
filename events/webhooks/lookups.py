"""Finding the addresses of names, for no longer than there is time."""

import socket
import threading
import time
from concurrent.futures import Future

MOST = 64
"""Lookups of one process at a time, those included for which nobody waits any more."""

_places = threading.BoundedSemaphore(MOST)


def look_up(host: str, port: int, ends_at: float) -> list[str]:
    """The addresses of a name, as text. Raises TimeoutError at `ends_at` (monotonic); gaierror, UnicodeError.

    The system's lookup has no time limit and cannot be called off: one whose name server is silent is left behind in
    its thread for as long as the system tries, about half a minute. When too many were, others wait, and can time out.
    """
    if not _places.acquire(timeout=_left(ends_at)):
        raise TimeoutError
    found: Future[list[str]] = Future()
    try:
        # A daemon, so that the process can end meanwhile.
        threading.Thread(target=_find, args=(host, port, found), name="lookup", daemon=True).start()
    except BaseException:
        _places.release()
        raise
    return found.result(_left(ends_at))


def _find(host: str, port: int, found: Future[list[str]]) -> None:
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        found.set_result([str(entry[4][0]) for entry in entries])
    except Exception as error:  # noqa: BLE001 - raised where it is waited for
        found.set_exception(error)
    finally:
        _places.release()


def _left(ends_at: float) -> float:
    return max(0.0, ends_at - time.monotonic())
