"""Running ffprobe: streams as JSON, packets as lines."""

import fcntl
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from functools import partial
from pathlib import Path

from configuration import ExecutionConfig, LimitConfig
from execution.budget import InspectionBudget
from execution.ffmpeg import Stopped, StopSignal
from execution.guard import Limits, run_limits
from execution.isolation import jail_of
from execution.jail import Child
from execution.stall import StallTimer
from transcoding.commands.diagnosis import AGAIN, unreadable
from transcoding.commands.probe import (
    clock_command,
    first_frame_command,
    frames_command,
    packets_command,
    streams_command,
)
from transcoding.errors import EncoderFailed, InputRejected

_STREAMS_BYTES = 4 << 20
"""Limit of the JSON of `streams`; the requested fields of hundreds of streams take a fraction of it."""
_READ_BYTES = 1 << 16
_STDERR_TAIL_BYTES = 1 << 14
_MAX_LINE_CHARS = 1 << 14
"""Limit of a line about a packet, which takes some hundred bytes."""
_POLL_SECONDS = 0.2
_MEMORY_BYTES = 512 << 20
_ADDRESS_BYTES = 1 << 30
"""Address space of ffprobe, which starts no encoder: a third of it is taken by its libraries."""
_FEW_BYTES = 1 << 12
_GATHER_SECONDS = 0.002
"""Pause after a read of a few bytes: ffprobe flushes every line, and a call for each costs more than the line does."""
_PIPE_BYTES = 1 << 18
"""Four times the default: the lines of some minutes of video. All pipes of a user have a quota of 64 MiB together."""


class Ffprobe:
    """Runs ffprobe with the demuxer forced. Methods raise InputRejected for a file that it cannot read.

    A `budget` limits the memory and the processor time of the run.
    """

    def __init__(self, config: ExecutionConfig, limits: LimitConfig) -> None:
        self._jail = jail_of(config)
        self.binary = config.ffprobe_path
        self._stall_seconds = config.stall_seconds
        self._max_silent_seconds = limits.max_step_seconds
        self._max_pixels = limits.max_pixels
        self._max_streams = limits.max_streams
        self._limits = run_limits(config, memory_bytes=_MEMORY_BYTES, address_bytes=_ADDRESS_BYTES)

    def streams(
        self,
        path: Path,
        *,
        demuxer: str,
        on_stderr_line: Callable[[str], None] = lambda _: None,
        budget: InspectionBudget | None = None,
    ) -> str:
        """Return the JSON of format and streams. `on_stderr_line` gets each line of stderr, also before a failure."""

        def command(name: str) -> list[str]:
            return streams_command(
                self.binary, name, demuxer=demuxer, max_pixels=self._max_pixels, max_streams=self._max_streams
            )

        return self._document(path, command, on_stderr_line=on_stderr_line, budget=budget)

    def first_frame(self, path: Path, *, demuxer: str, stream: int, budget: InspectionBudget | None = None) -> str:
        """Return the JSON of the metadata of a stream's first frame, which is decoded."""

        def command(name: str) -> list[str]:
            return first_frame_command(
                self.binary,
                name,
                demuxer=demuxer,
                stream=stream,
                max_pixels=self._max_pixels,
                max_streams=self._max_streams,
            )

        return self._document(path, command, on_stderr_line=lambda _: None, budget=budget)

    def frames(
        self,
        path: Path,
        *,
        demuxer: str,
        stream: int,
        times: Sequence[Fraction],
        budget: InspectionBudget | None = None,
    ) -> str:
        """Return the JSON of the key frames at or before these times, in seconds on the clock of the file."""
        command = partial(
            frames_command,
            self.binary,
            demuxer=demuxer,
            stream=stream,
            times=times,
            max_pixels=self._max_pixels,
            max_streams=self._max_streams,
        )
        return self._document(path, command, on_stderr_line=lambda _: None, budget=budget)

    def _document(
        self,
        path: Path,
        command: Callable[[str], list[str]],
        *,
        on_stderr_line: Callable[[str], None],
        budget: InspectionBudget | None,
    ) -> str:
        """Run a command, which is given the file's name in the jail, and return all that it writes."""
        with self._jail.cell(inputs=[path]) as cell:
            argv = command(cell.name(path))
            child = cell.start(argv, limits=self._limits_of(budget), stdout=subprocess.PIPE)
            stall = StallTimer(child.process.pid, self._stall_seconds, self._max_silent_seconds)
            if budget:
                budget.watch(child.process.pid)
            out, stderr_tail = _read_all(child.process, stall, budget)
            stderr = stderr_tail.decode("utf-8", "replace")
            for line in stderr.splitlines():
                on_stderr_line(line)
            if "max_streams" in stderr:
                raise InputRejected(
                    f"the file has too many streams; {self._max_streams} are allowed: export those that matter"
                )
            if _exit_code(child, budget, stderr):
                raise unreadable(stderr)
        return out.decode("utf-8", "replace")

    def packets(  # noqa: PLR0913 - as `open_packets`
        self,
        path: Path,
        *,
        demuxer: str,
        stream: int,
        stop: StopSignal,
        parsed: bool = True,
        cuts: bool = False,
        budget: InspectionBudget | None = None,
    ) -> Iterator[str]:
        """Yield the lines of `open_packets`."""
        with self.open_packets(
            path, demuxer=demuxer, stream=stream, stop=stop, parsed=parsed, cuts=cuts, budget=budget
        ) as lines:
            yield from lines

    @contextmanager
    def open_packets(  # noqa: PLR0913 - one run, by name
        self,
        path: Path,
        *,
        demuxer: str,
        stream: int,
        stop: StopSignal,
        parsed: bool = True,
        cuts: bool = False,
        budget: InspectionBudget | None = None,
    ) -> Iterator[Iterator[str]]:
        """Start ffprobe and yield its lines, one per packet of a stream in decoding order, while it reads the file.

        Several may run at a time: each goes on until its pipe is full. It is killed on exit.

        Args:
            path: the file.
            demuxer: name of ffmpeg's demuxer.
            stream: index of the stream in the file.
            stop: ends the run when it is set; polled every 0.2 s.
            parsed: run the codec's parser; False lists packets as the container has them, whatever their bytes are.
            cuts: list also the samples that are cut off.
            budget: bounds of memory and processor time; time over raises InputRejected.

        Raises:
            Stopped: the stop signal was set.
            ProcessStalled: for `stall_seconds` there was no output, and no work done.
            InputRejected: ffprobe failed.

        """

        def command(name: str) -> list[str]:
            return packets_command(
                self.binary,
                name,
                demuxer=demuxer,
                stream=stream,
                max_pixels=self._max_pixels,
                max_streams=self._max_streams,
                parsed=parsed,
                cuts=cuts,
            )

        with self._listing(path, command, stop, budget) as lines:
            yield lines

    def clock_packets(
        self, path: Path, *, demuxer: str, stop: StopSignal, budget: InspectionBudget | None = None
    ) -> Iterator[str]:
        """Yield lines like `packets`, one per packet of every stream, in the order of the file."""

        def command(name: str) -> list[str]:
            return clock_command(
                self.binary, name, demuxer=demuxer, max_pixels=self._max_pixels, max_streams=self._max_streams
            )

        with self._listing(path, command, stop, budget) as lines:
            yield from lines

    @contextmanager
    def _listing(
        self, path: Path, command: Callable[[str], list[str]], stop: StopSignal, budget: InspectionBudget | None
    ) -> Iterator[Iterator[str]]:
        """Start the command for the name that the file has in the jail, and yield the lines that it writes."""
        with self._jail.cell(inputs=[path]) as cell:
            argv = command(cell.name(path))
            # A broken file gives a line of stderr per packet; nobody reads them, and a full pipe would block ffprobe.
            child = cell.start(argv, limits=self._limits_of(budget), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            if budget:
                budget.watch(child.process.pid)
            with suppress(OSError):  # users have a quota, and smaller pipes are slower only
                fcntl.fcntl(child.process.stdout or -1, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            yield self._lines(child, stop, budget)

    def _limits_of(self, budget: InspectionBudget | None) -> Limits:
        return budget.limits(self._limits) if budget else self._limits

    def _lines(self, child: Child, stop: StopSignal, budget: InspectionBudget | None) -> Iterator[str]:
        rest = ""
        for block in self._blocks(child.process, stop):
            *lines, rest = (rest + block.decode("ascii", "replace")).split("\n")
            if len(rest) > _MAX_LINE_CHARS:
                raise InputRejected(f"the file's packets cannot be read; {AGAIN}")
            yield from lines
            if budget:
                budget.check()
        if _exit_code(child, budget):
            raise InputRejected(f"the file's packets cannot be read; {AGAIN}")

    def _blocks(self, process: subprocess.Popen[bytes], stop: StopSignal) -> Iterator[bytes]:
        """Yield blocks of stdout as they arrive. Time that the reader takes does not count as a stall."""
        with selectors.DefaultSelector() as selector:
            output = selector.register(process.stdout or -1, selectors.EVENT_READ).fd
            stall = StallTimer(process.pid, self._stall_seconds, self._max_silent_seconds)
            while True:
                if stop.is_set():
                    raise Stopped
                if not selector.select(_POLL_SECONDS):
                    stall.works()
                    stall.check("ffprobe wrote nothing")
                    continue
                block = os.read(output, _READ_BYTES)
                if not block:
                    return
                yield block
                if len(block) < _FEW_BYTES:
                    time.sleep(_GATHER_SECONDS)
                stall.reset()


def _exit_code(child: Child, budget: InspectionBudget | None, stderr: str = "") -> int:
    """Return the exit code. Raises ResourceExceeded; EncoderFailed when a signal killed it: the file may be fine."""
    code = child.wait()
    if code and budget and (refusal := budget.refusal(stderr)):
        raise refusal
    if code < 0:
        raise EncoderFailed(f"ffprobe was killed on the worker ({signal.Signals(-code).name}); upload the file again")
    return code


def _read_all(
    process: subprocess.Popen[bytes], stall: StallTimer, budget: InspectionBudget | None
) -> tuple[bytes, bytes]:
    """Return all of stdout and the tail of stderr. Raises InputRejected when the size limit is exceeded."""
    out, err = b"", b""
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdout, process.stderr):
            selector.register(pipe or -1, selectors.EVENT_READ)
        while selector.get_map():
            stall.works()
            stall.check("ffprobe wrote nothing")
            if budget:
                budget.check()
            for key, _ in selector.select(_POLL_SECONDS):
                block = os.read(key.fd, _READ_BYTES)
                if not block:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stdout:
                    out += block
                else:
                    err = (err + block)[-_STDERR_TAIL_BYTES:]
            if len(out) > _STREAMS_BYTES:
                raise InputRejected(f"the file's header is too large; {AGAIN}")
    return out, err
