"""Source and output of a stream as files for PyAV: pipes that can be interrupted at any time."""

import os
import select
from contextlib import suppress

_READ_BYTES = 1 << 16
_MAX_BYTES_WITHOUT_PACKET = 8 << 20
"""Several seconds of any stream. The demuxer of MPEG-TS would look for packets for ever."""


class StreamOver(Exception):
    """The stream has to end: its reader is gone, or `Ending.set` was called."""


class SourceUnreadable(Exception):
    """The source brings bytes without end, and no packet."""


class Ending:
    """Flag that interrupts reads and writes."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._set = False

    def set(self) -> None:
        """End the stream, from any thread."""
        self._set = True
        with suppress(OSError):  # it has ended already
            os.eventfd_write(self.descriptor, 1)

    def is_set(self) -> bool:
        return self._set

    def close(self) -> None:
        os.close(self.descriptor)


class SourceFile:
    """The source, read from a pipe. Until `release` it can be read once more from its beginning."""

    def __init__(self, source: int, output: int, ending: Ending) -> None:
        os.set_blocking(source, False)
        self._source = source
        self._ending = ending
        self._poll = select.poll()
        self._poll.register(source, select.POLLIN)
        self._poll.register(ending.descriptor, select.POLLIN)
        self._poll.register(output, 0)  # which says that its reader is gone
        self._first = bytearray()
        self._keeps = True
        self._position = 0
        self.bytes_read = 0
        self.ended = False
        self._read_at_packet = 0

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most `size`; empty: the source has ended. Raises StreamOver, SourceUnreadable."""
        if self._position < len(self._first):
            block = bytes(self._first[self._position : self._position + size])
            self._position += len(block)
            return block
        if not self._keeps and self._first:
            self._first, self._position = bytearray(), 0
        if self.bytes_read - self._read_at_packet > _MAX_BYTES_WITHOUT_PACKET:
            raise SourceUnreadable
        block = self._next(min(size, _READ_BYTES))
        self.bytes_read += len(block)
        self.ended = not block
        if self._keeps:
            self._first += block
            self._position += len(block)
        return block

    def _next(self, size: int) -> bytes:
        """Return the bytes that are there, or wait for some."""
        while not self._ending.is_set():
            try:
                return os.read(self._source, size)
            except BlockingIOError:
                if any(descriptor != self._source for descriptor, _ in self._poll.poll()):
                    break
        raise StreamOver

    def count_packet(self) -> None:
        """Take the source as readable up to here."""
        self._read_at_packet = self.bytes_read

    def rewind(self) -> None:
        """Read again from the beginning."""
        self._position = 0
        self.ended = False

    def release(self) -> None:
        """Keep no more bytes for `rewind`."""
        self._keeps = False


class OutputFile:
    """The output, written to a pipe."""

    def __init__(self, output: int, ending: Ending) -> None:
        os.set_blocking(output, False)
        self._output = output
        self._ending = ending
        self._poll = select.poll()
        self._poll.register(output, select.POLLOUT)
        self._poll.register(ending.descriptor, select.POLLIN)
        self.bytes_written = 0

    def write(self, data: bytes) -> int:
        """Write all of it, and return its length. Raises StreamOver."""
        written = self._taken(data)
        if written < len(data):
            rest = memoryview(data)
            while written < len(data):
                self._poll.poll()
                written += self._taken(rest[written:])
        return written

    def _taken(self, data: bytes | memoryview) -> int:
        """Write what the pipe has room for, and return how much that is."""
        if self._ending.is_set():
            raise StreamOver
        try:
            written = os.write(self._output, data)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            raise StreamOver from None
        self.bytes_written += written
        return written
