"""Asking ffprobe: facts as JSON, packets as lines."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from configuration import ExecutionConfig, LimitConfig
from execution.ffmpeg import Stopped, StopSignal
from execution.process import Bounds, end, spawn
from transcoding.commands.diagnosis import last_words
from transcoding.commands.probe import packets_command, streams_command
from transcoding.errors import EncoderFailed, InputRejected, ProcessStalled

_FACTS_SECONDS = 60
_FACTS_BYTES = 4 << 20
"""Far more than the fields that are asked for take, however many streams there are."""
_READ_BYTES = 1 << 16
_STDERR_KEPT = 1 << 14
_LOOK_SECONDS = 0.2


class Ffprobe:
    """Runs ffprobe with the demuxer forced. Raises InputRejected when it cannot make sense of a file."""

    def __init__(self, config: ExecutionConfig, limits: LimitConfig) -> None:
        self.binary = config.ffprobe_path
        self._stall_seconds = config.stall_seconds
        self._max_pixels = limits.max_pixels
        self._bounds = Bounds(file_bytes=config.max_output_bytes, cpu_seconds=config.max_cpu_seconds)

    def streams(self, path: Path, *, demuxer: str, on_complaint: Callable[[str], None] = lambda _: None) -> str:
        """The JSON of format and streams. `on_complaint` hears each line of errors, also when it fails in the end."""
        argv = streams_command(self.binary, str(path), demuxer=demuxer, max_pixels=self._max_pixels)
        with self._running(argv, stderr=subprocess.PIPE) as process:
            out, complaints = _facts(process)
            said = complaints.decode("utf-8", "replace")
            for line in said.splitlines():
                on_complaint(line)
            if _ended(process):
                raise InputRejected(f"the file cannot be read: {last_words(said).removeprefix('the file: ')}")
        return out.decode("utf-8", "replace")

    def packets(self, path: Path, *, demuxer: str, stream: int, stop: StopSignal, parsed: bool = True) -> Iterator[str]:
        """One line per packet of a stream, in decoding order, while ffprobe reads the file.

        Not `parsed`: as the container has them, whatever their bytes are. Raises Stopped, also while nothing arrives,
        and ProcessStalled when nothing does for too long.
        """
        argv = packets_command(
            self.binary, str(path), demuxer=demuxer, stream=stream, max_pixels=self._max_pixels, parsed=parsed
        )
        # Broken files make ffprobe complain per packet; nobody reads that, and a full pipe would stop it.
        with self._running(argv, stderr=subprocess.DEVNULL) as process:
            rest = b""
            for block in self._blocks(process, stop):
                *lines, rest = (rest + block).split(b"\n")
                yield from (line.decode("ascii", "replace") for line in lines)
            if _ended(process):
                raise InputRejected("the file's packets cannot be read")

    def _blocks(self, process: subprocess.Popen[bytes], stop: StopSignal) -> Iterator[bytes]:
        """What the process writes, as it comes; the time that the reader takes does not count as silence."""
        with selectors.DefaultSelector() as selector:
            output = selector.register(process.stdout or -1, selectors.EVENT_READ).fd
            heard_at = time.monotonic()
            while True:
                if stop.is_set():
                    raise Stopped
                if not selector.select(_LOOK_SECONDS):
                    if time.monotonic() - heard_at > self._stall_seconds:
                        raise ProcessStalled(f"ffprobe said nothing for {self._stall_seconds} s")
                    continue
                block = os.read(output, _READ_BYTES)
                if not block:
                    return
                yield block
                heard_at = time.monotonic()

    @contextmanager
    def _running(self, argv: list[str], *, stderr: int) -> Iterator[subprocess.Popen[bytes]]:
        """A process whose output is read; however that ends, it is gone afterwards."""
        process = spawn(argv, stdout=subprocess.PIPE, stderr=stderr, bounds=self._bounds)
        try:
            yield process
        finally:
            end(process)
            for pipe in (process.stdout, process.stderr):
                if pipe:
                    pipe.close()


def _ended(process: subprocess.Popen[bytes]) -> int:
    """The exit code. Raises EncoderFailed where it was killed: that says nothing about the file.

    Except by the bounds that it runs in: a file that takes that much time or space would do so again.
    """
    code = process.wait()
    if code < 0 and -code not in {signal.SIGXCPU, signal.SIGXFSZ}:
        raise EncoderFailed(f"ffprobe was ended by signal {-code}")
    return code


def _facts(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """All of a short output, and the end of the complaints. Raises InputRejected when it is long in size or time."""
    out, err = b"", b""
    deadline = time.monotonic() + _FACTS_SECONDS
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdout, process.stderr):
            selector.register(pipe or -1, selectors.EVENT_READ)
        while selector.get_map():
            if time.monotonic() > deadline:
                raise InputRejected(f"the file's header could not be read within {_FACTS_SECONDS} s")
            for key, _ in selector.select(_LOOK_SECONDS):
                block = os.read(key.fd, _READ_BYTES)
                if not block:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stdout:
                    out += block
                else:
                    err = (err + block)[-_STDERR_KEPT:]
            if len(out) > _FACTS_BYTES:
                raise InputRejected("the file's header says too much")
    return out, err
