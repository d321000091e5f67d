"""Files that are sent and fetched in parts, whatever the store.

boto3's transfer manager does not fit: it sends a file once more from its beginning where this one sends the parts that
are missing, and knows no If-Match, no digest of what it fetched, and no connection that crawls. On loopback it sends no
faster, and fetches faster by the time that comparing takes (docs/benchmarks.md).
"""

import hashlib
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from storage.errors import StorageUnavailable
from storage.parts import part_bytes_for
from storage.protocol import Progress
from storage.transfer import Span, TransferProgress, run_parallel, write_at

ROUNDS = 3
"""Limit of rounds in a row in which no part of a file gets through. Each request is retried by itself, too."""


def backoff_seconds(failures: int) -> float:
    """Return an exponential backoff with full jitter, so that clients do not retry at the same moment."""
    return random.uniform(0, min(8.0, 0.25 * 2**failures))  # noqa: S311 - no secret depends on it


class FileParts:
    """A file on its way into the parts of a multipart upload.

    `put` sends one part and returns its etag. `stored` returns the etags of parts that the store has and that are
    those of this file; it is called after a failure, since an answer can be lost after its part arrived.
    """

    def __init__(
        self,
        path: Path,
        part_bytes: int,
        *,
        put: Callable[[int, bytes], str],
        stored: Callable[[Callable[[int], bytes]], Mapping[int, str]],
    ) -> None:
        self._path = path
        self._size = path.stat().st_size
        self._part_bytes = part_bytes_for(self._size, part_bytes)
        self._put = put
        self._stored = stored
        self._etags: dict[int, str] = {}
        self._reported: set[int] = set()

    def send(
        self, *, threads: int, on_bytes: Progress | None, sleep: Callable[[float], None] = time.sleep
    ) -> list[str]:
        """Send all parts and return their etags in order.

        While the store fails and still takes a part now and then, those that are missing are sent again. Raises
        StorageUnavailable.
        """
        count = -(-self._size // self._part_bytes)
        failures = 0
        with self._path.open("rb") as file:
            while True:
                arrived = len(self._etags)
                try:
                    progress = TransferProgress(on_bytes)
                    if failures:
                        self._look(file.fileno(), progress)
                    self._send_missing(file.fileno(), count, threads, progress)
                    return [self._etags[number] for number in range(1, count + 1)]
                except StorageUnavailable:
                    failures = failures + 1 if len(self._etags) == arrived else 1
                    if failures >= ROUNDS:
                        raise
                    sleep(backoff_seconds(failures))

    def _look(self, file: int, progress: TransferProgress) -> None:
        """Find the parts that arrived although their answers, or our report of them, did not."""
        self._etags = {**self._stored(lambda number: self._read(file, number)), **self._etags}
        for number in self._etags:
            self._report(number, progress)

    def _send_missing(self, file: int, count: int, threads: int, progress: TransferProgress) -> None:
        def send(number: int) -> None:
            self._etags[number] = self._put(number, self._read(file, number))
            self._report(number, progress)

        missing = [number for number in range(1, count + 1) if number not in self._etags]
        run_parallel(send, missing, threads=threads, progress=progress)

    def _report(self, number: int, progress: TransferProgress) -> None:
        if number not in self._reported:
            progress.add(min(self._part_bytes, self._size - (number - 1) * self._part_bytes))
            self._reported.add(number)

    def _read(self, file: int, number: int) -> bytes:
        return os.pread(file, self._part_bytes, (number - 1) * self._part_bytes)


def fetch_file(
    path: Path,
    ranges: Sequence[Span],
    *,
    blocks: Callable[[int, int], Iterator[bytes]],
    threads: int,
    on_bytes: Progress | None,
) -> list[bytes]:
    """Write an object to a file in parallel ranges, which `blocks` reads, and return the MD5 of each.

    Removes the file on failure.
    """
    progress = TransferProgress(on_bytes)

    def fetch(file: int, span: Span) -> bytes:
        position, end = span
        digest = hashlib.md5(usedforsecurity=False)
        for block in blocks(position, end):
            write_at(file, block, position)
            digest.update(block)
            position += len(block)
            progress.add(len(block))
        return digest.digest()

    try:
        with path.open("wb") as file:
            file.truncate(ranges[-1][1] if ranges else 0)
            return run_parallel(lambda span: fetch(file.fileno(), span), ranges, threads=threads, progress=progress)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
