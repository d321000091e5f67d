"""Parallel transfers of large objects: byte ranges, threads, progress, and abort on the first failure."""

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


class TransferStopped(Exception):
    """Another thread of the same transfer failed; its exception is the one that is raised."""


class TransferProgress:
    """Thread-safe progress of one transfer, and its stop flag."""

    def __init__(self, on_bytes: Progress | None) -> None:
        self._on_bytes = on_bytes
        self._lock = threading.Lock()
        self._stopped = False

    def add(self, count: int) -> None:
        """Report `count` transferred bytes. Raises TransferStopped after `stop`."""
        with self._lock:
            if self._stopped:
                raise TransferStopped
            if self._on_bytes is not None:
                self._on_bytes(count)

    def stop(self) -> None:
        self._stopped = True


def write_at(
    file: int, data: bytes, position: int, *, pwrite: Callable[[int, memoryview, int], int] = os.pwrite
) -> None:
    """Write all of `data`. Raises OSError: `pwrite` itself writes less on a nearly full disk and reports nothing."""
    rest = memoryview(data)
    while rest:
        written = pwrite(file, rest, position)
        rest, position = rest[written:], position + written


def spans(size: int, length: int) -> Iterator[Span]:
    """Split `size` bytes into (start, end) ranges of `length` bytes; the last may be shorter."""
    return ((start, min(start + length, size)) for start in range(0, size, length))


def batches(items: Iterable[Item], length: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    return iter(lambda: list(islice(iterator, length)), [])


def run_parallel(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int, progress: TransferProgress
) -> list[Result]:
    """Process all items on `threads` threads and return the results in order. The first failure aborts the others."""
    with ThreadPoolExecutor(threads, thread_name_prefix="transfer") as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            progress.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]
