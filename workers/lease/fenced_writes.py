"""Writes that must be settled: repeated while the database is away, as long as the lease may still be ours."""

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

from execution.ffmpeg import Stopped, StopSignal

Answer = TypeVar("Answer")

_PAUSE_SECONDS = 0.5


def settle(write: Callable[[], Answer], stop: StopSignal) -> Answer:
    """Do a fenced write until the database answers. Raises Stopped when the step may not go on.

    A connection can break after the commit: every write given here finds what it did before when it is repeated.
    """
    while True:
        try:
            return write()
        except (OperationalError, InterfaceError):
            connection.close()
            if stop.is_set():
                raise Stopped from None
            time.sleep(_PAUSE_SECONDS)
