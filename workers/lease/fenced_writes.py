"""Retry a worker's fenced writes while the database is unavailable, as long as the lease may still be its own."""

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

from execution.ffmpeg import Stopped, StopSignal

Answer = TypeVar("Answer")

_PAUSE_SECONDS = 0.5


def retry_write(write: Callable[[], Answer], stop: StopSignal) -> Answer:
    """Repeat a fenced write until the database answers. Raises Stopped when the step must stop first.

    A connection can break after the commit, so `write` must be idempotent: repeated, it finds what it did before.
    """
    while True:
        try:
            return write()
        except (OperationalError, InterfaceError):
            connection.close()
            if stop.is_set():
                raise Stopped from None
            time.sleep(_PAUSE_SECONDS)
