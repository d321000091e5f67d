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
from execution.ffmpeg import Stopped, StopSignal
from execution.process import ResourceLimits, kill_and_wait, spawn
from transcoding.commands.diagnosis import last_words
from transcoding.commands.probe import packets_command, streams_command
from transcoding.errors import EncoderFailed, InputRejected, ProcessStalled

_STREAMS_SECONDS = 60
_STREAMS_BYTES = 4 << 20
"""Limit of the JSON of `streams`; the requested fields of hundreds of streams take a fraction of it."""
_READ_BYTES = 1 << 16
_STDERR_TAIL_BYTES = 1 << 14
_POLL_SECONDS = 0.2
_PIPE_BYTES = 1 << 18
"""Four times the default: the lines of some minutes of video. All pipes of a user have a quota of 64 MiB together."""


class Ffprobe:
    """Runs ffprobe with the demuxer forced. Methods raise InputRejected for a file that it cannot read."""

    def __init__(self, config: ExecutionConfig, limits: LimitConfig) -> None:
        self.binary = config.ffprobe_path
        self._stall_seconds = config.stall_seconds
        self._max_pixels = limits.max_pixels
        self._resource_limits = ResourceLimits(file_bytes=config.max_output_bytes, cpu_seconds=config.max_cpu_seconds)

    def streams(self, path: Path, *, demuxer: str, on_stderr_line: Callable[[str], None] = lambda _: None) -> str:
        """Return the JSON of format and streams. `on_stderr_line` gets each line of stderr, also before a failure."""
        argv = streams_command(self.binary, str(path), demuxer=demuxer, max_pixels=self._max_pixels)
        with self._running(argv, stderr=subprocess.PIPE) as process:
            out, stderr_tail = _read_all(process)
            stderr = stderr_tail.decode("utf-8", "replace")
            for line in stderr.splitlines():
                on_stderr_line(line)
            if _exit_code(process):
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
        argv = packets_command(
            self.binary, str(path), demuxer=demuxer, stream=stream, max_pixels=self._max_pixels, parsed=parsed
        )
        # A broken file gives a line of stderr per packet; nobody reads them, and a full pipe would block ffprobe.
        with self._running(argv, stderr=subprocess.DEVNULL) as process:
            with suppress(OSError):  # users have a quota, and smaller pipes are slower only
                fcntl.fcntl(process.stdout or -1, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            yield self._lines(process, stop)

    def _lines(self, process: subprocess.Popen[bytes], stop: StopSignal) -> Iterator[str]:
        rest = b""
        for block in self._blocks(process, stop):
            *lines, rest = (rest + block).split(b"\n")
            yield from (line.decode("ascii", "replace") for line in lines)
        if _exit_code(process):
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

    @contextmanager
    def _running(self, argv: list[str], *, stderr: int) -> Iterator[subprocess.Popen[bytes]]:
        """Start ffprobe; kill it and close its pipes on exit."""
        process = spawn(argv, stdout=subprocess.PIPE, stderr=stderr, limits=self._resource_limits)
        try:
            yield process
        finally:
            kill_and_wait(process)
            for pipe in (process.stdout, process.stderr):
                if pipe:
                    pipe.close()


def _exit_code(process: subprocess.Popen[bytes]) -> int:
    """Return the exit code. Raises EncoderFailed when a signal killed the process: the file may be fine.

    SIGXCPU and SIGXFSZ are the file's fault: it would exceed the limits again.
    """
    code = process.wait()
    if code < 0 and -code not in {signal.SIGXCPU, signal.SIGXFSZ}:
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
