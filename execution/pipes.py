"""Pipes to and from a program, and threads that feed it its inputs."""

import os
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress

Feed = Generator[bytes, None, None]
"""Generator of the next bytes of an input. It runs in a thread of its own, and an exception in it ends the run.

One that waits for others, such as a publisher, yields nothing (`b""`) a few times a second, or the end of the run would
wait for it.
"""


class Pipe:
    """Both ends of a pipe; each is closed once."""

    def __init__(self) -> None:
        self.read, self.write = os.pipe()
        self._open = {self.read, self.write}

    def close_write(self) -> None:
        """Close our copy of the writing end: the reader sees the end of the stream when no copy is open."""
        self._close(self.write)

    def close_read(self) -> None:
        """Close our copy of the reading end: the writer gets a broken pipe when no copy is open."""
        self._close(self.read)

    def leave_write(self) -> int:
        """Return the writing end, which the caller closes from now on."""
        self._open.remove(self.write)
        return self.write

    def leave_read(self) -> int:
        """Return the reading end, which the caller closes from now on."""
        self._open.remove(self.read)
        return self.read

    def close(self) -> None:
        """Close the ends that are still open."""
        for descriptor in list(self._open):
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        with suppress(KeyError):
            self._open.remove(descriptor)
            os.close(descriptor)


@contextmanager
def open_pipe() -> Iterator[Pipe]:
    """Open a pipe, and close what is still open of it in the end."""
    pipe = Pipe()
    try:
        yield pipe
    finally:
        pipe.close()


class Feeder:
    """Thread that writes a feed into a pipe. The program inherits the reading end."""

    def __init__(self, pipe: Pipe, feed: Feed) -> None:
        self.pipe = pipe
        self._feed = feed
        self._mark_active: Callable[[], None] = lambda: None
        self._error: BaseException | None = None
        self._over = threading.Event()
        self.empty = False
        """The feed had nothing to give when it last said so: the program may be waiting for it."""
        self._thread = threading.Thread(target=self._write, name="feeder", daemon=True)

    def start(self, mark_active: Callable[[], None]) -> None:
        """Start the thread, after the program was spawned. `mark_active` is called after each write."""
        self.pipe.close_read()
        self._mark_active = mark_active
        self._thread.start()

    def join(self) -> None:
        """Wait for the thread; it ends with its feed, or at the next block when the program has ended."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def check(self) -> None:
        """Raise the feed's exception, if there was one."""
        if self._error is not None:
            raise self._error

    def _write(self) -> None:
        try:
            with closing(self._feed) as blocks:
                for block in blocks:
                    if self._over.is_set():
                        break
                    self.empty = not block
                    self._write_all(block)
        except BrokenPipeError:
            pass  # the program has ended; its exit code and stderr say why
        except BaseException as error:  # noqa: BLE001 - `check` raises it in the main thread
            self._error = error
        finally:
            self.pipe.close_write()

    def _write_all(self, block: bytes) -> None:
        rest = memoryview(block)
        while rest:
            rest = rest[os.write(self.pipe.write, rest) :]
            self._mark_active()


@contextmanager
def open_feeder(feed: Feed) -> Iterator[Feeder]:
    """Open a pipe with a feeder, which has ended in the end."""
    with open_pipe() as pipe:
        feeder = Feeder(pipe, feed)
        try:
            yield feeder
        finally:
            feeder.join()
