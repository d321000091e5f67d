"""Moving large objects: spans of bytes, several threads at once, progress, and one failure that ends all of it."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from typing import TypeVar

from storage.protocol import Progress

Item = TypeVar("Item")
Result = TypeVar("Result")
Span = tuple[int, int]


class TransferStoppedError(Exception):
    """Another thread of the same transfer failed; its error is the one to tell."""


class Tally:
    """Tells on what went over, one call at a time, from whichever thread moved it."""

    def __init__(self, on_bytes: Progress | None) -> None:
        self._on_bytes = on_bytes
        self._lock = threading.Lock()
        self._stopped = False

    def add(self, count: int) -> None:
        """Report `count` more bytes. Raises TransferStoppedError when the transfer has failed elsewhere."""
        with self._lock:
            if self._stopped:
                raise TransferStoppedError
            if self._on_bytes is not None:
                self._on_bytes(count)

    def stop(self) -> None:
        self._stopped = True


def write_at(file: int, data: bytes, position: int) -> None:
    """Write all of it, or raise OSError: a disk that is nearly full takes a part and says nothing."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(file, rest, position)
        rest, position = rest[written:], position + written


def spans(size: int, length: int) -> Iterator[Span]:
    """Cut `size` bytes into (start, end) of `length`, the last one shorter."""
    return ((start, min(start + length, size)) for start in range(0, size, length))


def batches(items: Iterable[Item], length: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    return iter(lambda: list(islice(iterator, length)), [])


def run_parallel(work: Callable[[Item], Result], items: Iterable[Item], *, threads: int, tally: Tally) -> list[Result]:
    """Do all items, `threads` at a time, and return the results in order. The first failure stops the others."""
    with ThreadPoolExecutor(threads, thread_name_prefix="transfer") as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            tally.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]
