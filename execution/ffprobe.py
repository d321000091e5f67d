"""Running ffprobe: streams as JSON, packets as lines."""

import fcntl
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from configuration import ExecutionConfig, LimitConfig
from execution.ffmpeg import Stopped, StopSignal, run_limits
from execution.isolation import jail_of
from execution.jail import Child
from transcoding.commands.diagnosis import last_words
from transcoding.commands.probe import packets_command, streams_command
from transcoding.errors import EncoderFailed, InputRejected, ProcessStalled

_STREAMS_SECONDS = 60
_STREAMS_BYTES = 4 << 20
"""Limit of the JSON of `streams`; the requested fields of hundreds of streams take a fraction of it."""
_READ_BYTES = 1 << 16
_STDERR_TAIL_BYTES = 1 << 14
_POLL_SECONDS = 0.2
_MEMORY_BYTES = 512 << 20
_ADDRESS_BYTES = 1 << 30
"""Address space of ffprobe, which starts no encoder: a third of it is taken by its libraries."""
_PIPE_BYTES = 1 << 18
"""Four times the default: the lines of some minutes of video. All pipes of a user have a quota of 64 MiB together."""


class Ffprobe:
    """Runs ffprobe with the demuxer forced. Methods raise InputRejected for a file that it cannot read."""

    def __init__(self, config: ExecutionConfig, limits: LimitConfig) -> None:
        self._jail = jail_of(config)
        self.binary = config.ffprobe_path
        self._stall_seconds = config.stall_seconds
        self._max_pixels = limits.max_pixels
        self._limits = run_limits(config, memory_bytes=_MEMORY_BYTES, address_bytes=_ADDRESS_BYTES)

    def streams(self, path: Path, *, demuxer: str, on_stderr_line: Callable[[str], None] = lambda _: None) -> str:
        """Return the JSON of format and streams. `on_stderr_line` gets each line of stderr, also before a failure."""
        with self._jail.cell(inputs=[path]) as cell:
            argv = streams_command(self.binary, cell.name(path), demuxer=demuxer, max_pixels=self._max_pixels)
            child = cell.start(argv, limits=self._limits, stdout=subprocess.PIPE)
            out, stderr_tail = _read_all(child.process)
            stderr = stderr_tail.decode("utf-8", "replace")
            for line in stderr.splitlines():
                on_stderr_line(line)
            if _exit_code(child):
                raise InputRejected(f"the file cannot be read: {last_words(stderr).removeprefix('the file: ')}")
        return out.decode("utf-8", "replace")

    def packets(self, path: Path, *, demuxer: str, stream: int, stop: StopSignal, parsed: bool = True) -> Iterator[str]:
        """Yield the lines of `open_packets`."""
        with self.open_packets(path, demuxer=demuxer, stream=stream, stop=stop, parsed=parsed) as lines:
            yield from lines

    @contextmanager
    def open_packets(
        self, path: Path, *, demuxer: str, stream: int, stop: StopSignal, parsed: bool = True
    ) -> Iterator[Iterator[str]]:
        """Start ffprobe and yield its lines, one per packet of a stream in decoding order, while it reads the file.

        Several may run at a time: each goes on until its pipe is full. It is killed on exit.

        Args:
            path: the file.
            demuxer: name of ffmpeg's demuxer.
            stream: index of the stream in the file.
            stop: ends the run when it is set; polled every 0.2 s.
            parsed: run the codec's parser; False lists packets as the container has them, whatever their bytes are.

        Raises:
            Stopped: the stop signal was set.
            ProcessStalled: no output for `stall_seconds`.
            InputRejected: ffprobe failed.

        """
        with self._jail.cell(inputs=[path]) as cell:
            argv = packets_command(
                self.binary, cell.name(path), demuxer=demuxer, stream=stream, max_pixels=self._max_pixels, parsed=parsed
            )
            # A broken file gives a line of stderr per packet; nobody reads them, and a full pipe would block ffprobe.
            child = cell.start(argv, limits=self._limits, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            with suppress(OSError):  # users have a quota, and smaller pipes are slower only
                fcntl.fcntl(child.process.stdout or -1, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            yield self._lines(child, stop)

    def _lines(self, child: Child, stop: StopSignal) -> Iterator[str]:
        rest = b""
        for block in self._blocks(child.process, stop):
            *lines, rest = (rest + block).split(b"\n")
            yield from (line.decode("ascii", "replace") for line in lines)
        if _exit_code(child):
            raise InputRejected("the file's packets cannot be read")

    def _blocks(self, process: subprocess.Popen[bytes], stop: StopSignal) -> Iterator[bytes]:
        """Yield blocks of stdout as they arrive. Time that the reader takes does not count as a stall."""
        with selectors.DefaultSelector() as selector:
            output = selector.register(process.stdout or -1, selectors.EVENT_READ).fd
            active_at = time.monotonic()
            while True:
                if stop.is_set():
                    raise Stopped
                if not selector.select(_POLL_SECONDS):
                    if time.monotonic() - active_at > self._stall_seconds:
                        raise ProcessStalled(f"ffprobe wrote nothing for {self._stall_seconds} s")
                    continue
                block = os.read(output, _READ_BYTES)
                if not block:
                    return
                yield block
                active_at = time.monotonic()


def _exit_code(child: Child) -> int:
    """Return the exit code. Raises ResourceExceeded; EncoderFailed when a signal killed it: the file may be fine."""
    code = child.wait()
    if code < 0:
        raise EncoderFailed(f"ffprobe was killed on the worker ({signal.Signals(-code).name}); upload the file again")
    return code


def _read_all(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Return all of stdout and the tail of stderr. Raises InputRejected when the time or size limit is exceeded."""
    out, err = b"", b""
    deadline = time.monotonic() + _STREAMS_SECONDS
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdout, process.stderr):
            selector.register(pipe or -1, selectors.EVENT_READ)
        while selector.get_map():
            if time.monotonic() > deadline:
                raise InputRejected(f"the file's header could not be read within {_STREAMS_SECONDS} s")
            for key, _ in selector.select(_POLL_SECONDS):
                block = os.read(key.fd, _READ_BYTES)
                if not block:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stdout:
                    out += block
                else:
                    err = (err + block)[-_STDERR_TAIL_BYTES:]
            if len(out) > _STREAMS_BYTES:
                raise InputRejected("the file's header is too large")
    return out, err
