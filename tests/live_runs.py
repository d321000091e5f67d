"""A live stream through an engine, as the server does it: one thread writes, another one reads."""

import os
import threading
from contextlib import suppress
from typing import Protocol


class Run(Protocol):
    """Ends of the pipes of a run: of an engine, or of `execution.streaming`."""

    input: int
    output: int


class Feeding:
    """Thread that writes a stream into a run, and keeps the source open until `close`, or closes it at the end."""

    def __init__(self, run: Run, stream: bytes, *, endless: bool = False) -> None:
        self._run = run
        self._stream = memoryview(stream)
        self._over = threading.Event()
        if not endless:
            self._over.set()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the source, and wait for the thread."""
        self._over.set()
        self._thread.join()

    def _write(self) -> None:
        rest = self._stream
        with suppress(BrokenPipeError):
            while rest:
                rest = rest[os.write(self._run.input, rest[: 1 << 16]) :]
            self._over.wait()
        os.close(self._run.input)


def output_of(run: Run, *, first: bool = False) -> bytes:
    """Read the output to its end and close it. `first`: read the first bytes only, and leave it open."""
    taken = b""
    while block := os.read(run.output, 1 << 16):
        taken += block
        if first:
            return taken
    os.close(run.output)
    return taken


def through(run: Run, stream: bytes) -> bytes:
    """Write a stream into a run, and return all that comes out."""
    feeding = Feeding(run, stream)
    taken = output_of(run)
    feeding.close()
    return taken


def open_files() -> int:
    """Count the descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
