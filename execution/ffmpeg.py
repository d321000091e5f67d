"""Running ffmpeg: reads outputs from pipes while they are encoded, watches progress, kills stalled or stopped runs."""

import os
import selectors
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import IO, Protocol

import imageio_ffmpeg

from configuration import ExecutionConfig, LimitConfig
from execution.process import ResourceLimits, kill_and_wait, set_niceness, spawn
from transcoding.commands.command import FfmpegCommand
from transcoding.commands.diagnosis import diagnose, output_tail
from transcoding.commands.progress import parse_progress
from transcoding.errors import ProcessStalled

Sink = Callable[[bytes], None]
"""Consumer of the next bytes of an output. It may block; ffmpeg waits meanwhile."""

Feed = Generator[bytes, None, None]
"""Generator of the next bytes of an input. It runs in a thread of its own, and an exception in it ends the run."""

_NO_FEEDS: Mapping[str, Feed] = MappingProxyType({})
_READ_BYTES = 1 << 18
_STDERR_TAIL_BYTES = 1 << 14
_POLL_SECONDS = 0.05
"""Longest time until a segment that was uploaded meanwhile is published."""
_QUERY_TIMEOUT_SECONDS = 10


class Stopped(Exception):
    """The stop signal ended the run."""


class StopSignal(Protocol):
    """Stop flag that a run polls every `_POLL_SECONDS`, for example a `threading.Event`."""

    def is_set(self) -> bool:
        """Return True once the run must end."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """Result of a successful run."""

    frames: int
    """Frames written."""
    seconds: float
    """Wall time."""
    stderr: str
    """The last 16 KiB of stderr."""


@dataclass
class _Run:
    """State of a run in progress."""

    process: subprocess.Popen[bytes]
    on_frames: Callable[[int], None]
    on_stderr_line: Callable[[str], None]
    requested_niceness: Callable[[], int]
    files: tuple[Path, ...] = ()
    clock: Callable[[], float] = time.monotonic
    active_at: float = field(init=False)
    """Monotonic time of the last activity: a new frame, bytes of an output or input, a change of an output file."""
    frames: int = 0
    niceness: int = 0
    stderr: bytes = b""
    partial_line: bytes = b""
    progress_text: str = ""
    written: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        self.mark_active()

    def mark_active(self) -> None:
        self.active_at = self.clock()

    def apply_niceness(self) -> None:
        niceness = self.requested_niceness()
        if niceness > self.niceness:
            set_niceness(self.process, niceness)
            self.niceness = niceness

    def take_stderr(self, data: bytes) -> None:
        """Report complete lines and keep the tail: stderr of a broken file is unbounded."""
        self.stderr = (self.stderr + data)[-_STDERR_TAIL_BYTES:]
        *lines, self.partial_line = (self.partial_line + data)[-_STDERR_TAIL_BYTES:].split(b"\n")
        for line in lines:
            self.on_stderr_line(line.decode("utf-8", "replace"))

    def check_files(self) -> None:
        """Count growth of output files as activity: no frames are reported while `+faststart` moves the index."""
        stats = [path.stat() for path in self.files if path.exists()]
        written = tuple((stat.st_size, stat.st_mtime_ns) for stat in stats)
        if written != self.written:
            self.written = written
            self.mark_active()
            self.on_frames(self.frames)

    def take_progress(self, data: bytes) -> None:
        """Count only new frames as activity: ffmpeg reports every half second even when it hangs."""
        *lines, self.progress_text = (self.progress_text + data.decode("ascii", "replace")).split("\n")
        for report in parse_progress(lines):
            if report.frame > self.frames:
                self.frames = report.frame
                self.mark_active()
                self.on_frames(report.frame)


class FfmpegRunner:
    """Runs ffmpeg commands; nothing else starts ffmpeg."""

    def __init__(
        self, config: ExecutionConfig, limits: LimitConfig, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self.binary = config.ffmpeg_path or imageio_ffmpeg.get_ffmpeg_exe()
        self._max_pixels = limits.max_pixels
        self._resource_limits = ResourceLimits(file_bytes=config.max_output_bytes, cpu_seconds=config.max_cpu_seconds)
        self._stall_seconds = config.stall_seconds

    def version(self) -> str:
        """Return ffmpeg's version, e.g. 9.0.2-static; empty when it does not start."""
        words = self._query("-version").split(maxsplit=3)
        return words[2] if words[:2] == ["ffmpeg", "version"] else ""

    def encoders(self) -> frozenset[str]:
        """List the encoders that ffmpeg was built with. They may still fail on this machine."""
        lines = (line.split() for line in self._query("-encoders").splitlines())
        return frozenset(words[1] for words in lines if len(words) > 1)

    def _query(self, option: str) -> str:
        process = spawn([self.binary, "-v", "error", option], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            return process.communicate(timeout=_QUERY_TIMEOUT_SECONDS)[0].decode("utf-8", "replace")
        except subprocess.TimeoutExpired:
            return ""
        finally:
            kill_and_wait(process)

    def run(  # noqa: PLR0913 - inputs, outputs and callbacks of one process, by name
        self,
        command: FfmpegCommand,
        outputs: Mapping[str, Sink | Path | None],
        *,
        inputs: Mapping[str, Feed] = _NO_FEEDS,
        stop: StopSignal,
        on_frames: Callable[[int], None] = lambda _: None,
        on_poll: Callable[[], None] = lambda: None,
        niceness: Callable[[], int] = lambda: 0,
        on_stderr_line: Callable[[str], None] = lambda _: None,
    ) -> RunReport:
        """Run a command to its end. The process is gone when this returns or raises.

        Args:
            command: the command; its targets and inputs are named.
            outputs: per target a sink (fed through a pipe), a path, or None to discard the output.
            inputs: per input a feed, written into a pipe by a thread.
            stop: ends the run when it is set.
            on_frames: gets the number of frames written so far; also called while only files grow.
            on_poll: called after every read, at least every 0.05 s; time spent in it does not count as a stall.
            on_stderr_line: gets each line of stderr before sinks get anything that was encoded after it.
            niceness: returns by how much the process is nicer than this one. Read at every poll; it may only rise.

        Raises:
            Stopped: the stop signal was set.
            ProcessStalled: no activity for `stall_seconds`.
            TranscodeError: ffmpeg failed; `diagnose` chooses the class.

        """
        started = time.monotonic()
        with ExitStack() as stack:
            feeders = {name: stack.enter_context(_feeder(feed)) for name, feed in inputs.items()}
            pipes = {name: stack.enter_context(_pipe()) for name, sink in outputs.items() if callable(sink)}
            progress = stack.enter_context(_pipe())
            targets = {name: _target(sink, pipes.get(name)) for name, sink in outputs.items()}
            argv = command.argv(
                self.binary,
                targets,
                progress=f"pipe:{progress.write}",
                max_pixels=self._max_pixels,
                pipes={name: f"pipe:{feeder.pipe.read}" for name, feeder in feeders.items()},
            )
            ends = [*pipes.values(), progress]
            inherited = [*(feeder.pipe.read for feeder in feeders.values()), *(pipe.write for pipe in ends)]
            process = spawn(argv, pass_fds=inherited, limits=self._resource_limits)
            stack.callback(kill_and_wait, process)
            for pipe in ends:
                pipe.close_write()
            files = tuple(sink for sink in outputs.values() if isinstance(sink, Path))
            run = _Run(process, on_frames, on_stderr_line, niceness, files, self._clock)
            run.apply_niceness()
            for feeder in feeders.values():
                feeder.start(run.mark_active)
            with _selector(run, outputs, pipes, progress) as selector:
                self._watch(selector, run, stop, on_poll)
            run.take_stderr(b"\n" if run.partial_line else b"")
            for feeder in feeders.values():
                feeder.check()
            return _report(run, end_code=process.wait(), seconds=time.monotonic() - started)

    def _watch(
        self, selector: selectors.BaseSelector, run: _Run, stop: StopSignal, on_poll: Callable[[], None]
    ) -> None:
        """Serve the pipes until all are closed: ffmpeg has ended then."""
        while selector.get_map():
            ready = selector.select(_POLL_SECONDS)
            for key, _ in sorted(ready, key=lambda event: event[0].data != run.take_stderr):
                data = os.read(key.fd, _READ_BYTES)
                if data:
                    key.data(data)
                else:
                    selector.unregister(key.fd)
            polled_at = self._clock()
            on_poll()
            run.apply_niceness()
            run.active_at += self._clock() - polled_at  # ffmpeg may have waited for this callback
            run.check_files()
            if stop.is_set():
                raise Stopped
            if self._clock() - run.active_at > self._stall_seconds:
                raise ProcessStalled(f"ffmpeg did nothing for {self._stall_seconds} s after frame {run.frames}")


class _Pipe:
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

    def close(self) -> None:
        """Close the ends that are still open."""
        for descriptor in list(self._open):
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        with suppress(KeyError):
            self._open.remove(descriptor)
            os.close(descriptor)


@contextmanager
def _pipe() -> Iterator[_Pipe]:
    pipe = _Pipe()
    try:
        yield pipe
    finally:
        pipe.close()


class _Feeder:
    """Thread that writes a feed into a pipe. The program inherits the reading end."""

    def __init__(self, pipe: _Pipe, feed: Feed) -> None:
        self.pipe = pipe
        self._feed = feed
        self._mark_active: Callable[[], None] = lambda: None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write, name="feeder", daemon=True)

    def start(self, mark_active: Callable[[], None]) -> None:
        """Start the thread, after the program was spawned. `mark_active` is called after each write."""
        self.pipe.close_read()
        self._mark_active = mark_active
        self._thread.start()

    def join(self) -> None:
        """Wait for the thread; it ends with its feed or with the program."""
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
def _feeder(feed: Feed) -> Iterator[_Feeder]:
    with _pipe() as pipe:
        feeder = _Feeder(pipe, feed)
        try:
            yield feeder
        finally:
            feeder.join()


def _target(sink: Sink | Path | None, pipe: _Pipe | None) -> str:
    if pipe is not None:
        return f"pipe:{pipe.write}"
    return f"file:{sink}" if isinstance(sink, Path) else "-"


@contextmanager
def _selector(
    run: _Run, outputs: Mapping[str, Sink | Path | None], pipes: Mapping[str, _Pipe], progress: _Pipe
) -> Iterator[selectors.BaseSelector]:
    """Register every descriptor to read with the function that takes its bytes."""
    stderr: IO[bytes] | None = run.process.stderr
    if stderr is None:
        raise RuntimeError("the process was started without a pipe for its errors")
    with selectors.DefaultSelector() as selector, stderr:
        selector.register(stderr, selectors.EVENT_READ, run.take_stderr)
        selector.register(progress.read, selectors.EVENT_READ, run.take_progress)
        for name, pipe in pipes.items():
            sink = outputs[name]
            if callable(sink):
                selector.register(pipe.read, selectors.EVENT_READ, _marking_active(run, sink))
        yield selector


def _marking_active(run: _Run, sink: Sink) -> Sink:
    """Wrap a sink: mark the run active after each write, so that a slow sink is no stall."""

    def take(data: bytes) -> None:
        sink(data)
        run.mark_active()

    return take


def _report(run: _Run, *, end_code: int, seconds: float) -> RunReport:
    stderr = run.stderr.decode("utf-8", "replace")
    if end_code:
        error = diagnose(end_code, stderr)
        error.output_tail = output_tail(stderr)
        raise error
    return RunReport(frames=run.frames, seconds=seconds, stderr=stderr)
