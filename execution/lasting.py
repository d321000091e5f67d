"""A thread that lasts as long as this process, and starts programs for threads that do not."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from typing import TypeVar

from execution.process import allow_spawning

Result = TypeVar("Result")


class LastingThread:
    """Runs calls of other threads, one after another. What they start lives until it ends or this process does."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="lasting", daemon=True).start()

    def run(self, call: Callable[[], Result]) -> Result:
        """Run a call in this thread, wait for it, and return what it returns or raise what it raises."""
        future: Future[Result] = Future()

        def serve() -> None:
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - it is raised where the call came from
                future.set_exception(error)

        self._calls.put(serve)
        return future.result()

    def _serve(self) -> None:
        allow_spawning()
        while True:
            self._calls.get()()


@cache
def lasting_thread() -> LastingThread:
    """Return the lasting thread of this process, which starts with the first request."""
    return LastingThread()
