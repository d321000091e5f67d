from __future__ import annotations

import math
import threading
from collections.abc import Callable


class VirtualTime:
    """Time that passes only while every thread that uses it waits, so nothing is late because a machine is busy."""

    def __init__(self) -> None:
        self._now = 1_000.0
        self._change = threading.Condition()
        self._waiting: dict[int | None, tuple[float, threading.Event]] = {}
        """By thread: the time to wake it, and the event that wakes it earlier."""

    def __call__(self) -> float:
        return self._now

    def wait(self, event: threading.Event, seconds: float = math.inf) -> bool:
        """Do what `Event.wait` does, in this time."""
        due, me = self._now + seconds, threading.get_ident()
        with self._change:
            self._waiting[me] = (due, event)
            while not event.is_set() and self._now < due:
                self._change.notify_all()
                self._change.wait(0.005)  # an event that is set does not notify
            del self._waiting[me]
        return event.is_set()

    def pass_until(self, done: Callable[[], bool], *, seconds: float, threads: str) -> float:
        """Let time pass from one wake-up to the next until it is done, or so many seconds are over.

        Whoever is to be waited for runs in a thread whose name starts with `threads`. Returns how long it took.
        """
        started = self._now
        while not done() and self._now < started + seconds:
            with self._change:
                blocked = {thread: due for thread, (due, event) in self._waiting.items() if self._blocks(due, event)}
                running = {thread.ident for thread in threading.enumerate() if thread.name.startswith(threads)}
                if running <= blocked.keys():
                    self._now = min([started + seconds, *blocked.values()])
                    self._change.notify_all()
                else:
                    self._change.wait(0.005)  # a thread that ends does not notify
        return self._now - started

    def _blocks(self, due: float, event: threading.Event) -> bool:
        return self._now < due and not event.is_set()
