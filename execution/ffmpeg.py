"""Running ffmpeg: outputs read from pipes as they are made, progress watched, stalls and stops ended by force."""

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
from execution.process import Bounds, end, spawn
from transcoding.commands.command import FfmpegCommand
from transcoding.commands.diagnosis import diagnose, output_tail
from transcoding.commands.progress import parse_progress
from transcoding.errors import ProcessStalled

Sink = Callable[[bytes], None]
"""Takes the next bytes of an output; it may block, and then ffmpeg waits."""

Feed = Generator[bytes, None, None]
"""Gives the next bytes of an input; it is asked by a thread of its own, and what it raises ends the run."""

_NO_FEEDS: Mapping[str, Feed] = MappingProxyType({})
_READ_BYTES = 1 << 18
_STDERR_KEPT = 1 << 14
_LOOK_SECONDS = 0.2
_ANSWER_SECONDS = 10


class Stopped(Exception):
    """The run was ended because its owner said so."""


class StopSignal(Protocol):
    """What a run asks again and again: shall I stop? A `threading.Event` is one."""

    def is_set(self) -> bool:
        """Whether the run is to end at once."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """How a successful run went: frames written, wall seconds, and the end of what ffmpeg said."""

    frames: int
    seconds: float
    stderr: str


@dataclass
class _Watched:
    """One run under way, and when something in it last moved."""

    process: subprocess.Popen[bytes]
    on_frames: Callable[[int], None]
    on_complaint: Callable[[str], None]
    files: tuple[Path, ...] = ()
    moved_at: float = field(default_factory=time.monotonic)
    frames: int = 0
    stderr: bytes = b""
    complaint: bytes = b""
    progress_text: str = ""
    written: tuple[tuple[int, int], ...] = ()

    def moved(self) -> None:
        self.moved_at = time.monotonic()

    def take_stderr(self, data: bytes) -> None:
        """Keep only the end: a broken file can make ffmpeg complain without bound."""
        self.stderr = (self.stderr + data)[-_STDERR_KEPT:]
        *lines, self.complaint = (self.complaint + data)[-_STDERR_KEPT:].split(b"\n")
        for line in lines:
            self.on_complaint(line.decode("utf-8", "replace"))

    def look_at_files(self) -> None:
        """Count what is written to files as movement: frames say nothing while an index is moved to the front."""
        stats = [path.stat() for path in self.files if path.exists()]
        written = tuple((stat.st_size, stat.st_mtime_ns) for stat in stats)
        if written != self.written:
            self.written = written
            self.moved()
            self.on_frames(self.frames)

    def take_progress(self, data: bytes) -> None:
        """Count as movement only what advances: ffmpeg reports every half second even when it hangs."""
        *lines, self.progress_text = (self.progress_text + data.decode("ascii", "replace")).split("\n")
        for report in parse_progress(lines):
            if report.frame > self.frames:
                self.frames = report.frame
                self.moved()
                self.on_frames(report.frame)


class FfmpegRunner:
    """Runs ffmpeg commands. The only line that starts ffmpeg is in here."""

    def __init__(self, config: ExecutionConfig, limits: LimitConfig) -> None:
        self.binary = config.ffmpeg_path or imageio_ffmpeg.get_ffmpeg_exe()
        self._max_pixels = limits.max_pixels
        self._bounds = Bounds(file_bytes=config.max_output_bytes, cpu_seconds=config.max_cpu_seconds)
        self._stall_seconds = config.stall_seconds

    def version(self) -> str:
        """What ffmpeg calls its version, e.g. 9.0.2-static; empty when it does not start."""
        words = self._told("-version").split(maxsplit=3)
        return words[2] if words[:2] == ["ffmpeg", "version"] else ""

    def encoders(self) -> frozenset[str]:
        """Names of the encoders that ffmpeg was built with, which says nothing of whether they work here."""
        lines = (line.split() for line in self._told("-encoders").splitlines())
        return frozenset(words[1] for words in lines if len(words) > 1)

    def _told(self, question: str) -> str:
        process = spawn([self.binary, "-v", "error", question], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            return process.communicate(timeout=_ANSWER_SECONDS)[0].decode("utf-8", "replace")
        except subprocess.TimeoutExpired:
            return ""
        finally:
            end(process)

    def run(  # noqa: PLR0913 - what goes in and out of one process, by name
        self,
        command: FfmpegCommand,
        outputs: Mapping[str, Sink | Path | None],
        *,
        inputs: Mapping[str, Feed] = _NO_FEEDS,
        stop: StopSignal,
        on_frames: Callable[[int], None] = lambda _: None,
        on_look: Callable[[], None] = lambda: None,
        niceness: int = 0,
        on_complaint: Callable[[str], None] = lambda _: None,
    ) -> RunReport:
        """Run a command to its end. Every target goes to a sink (through a pipe), a path, or nowhere (None).

        `inputs` are fed through pipes. `on_frames` hears how many frames were written, again and again as long as
        something is written; `on_look` is called several times a second, both in between. `on_complaint` hears each
        line of ffmpeg's errors, before a sink gets what was encoded after it was said. `niceness` lets others on this
        machine go first.
        Raises Stopped, ProcessStalled, or what `diagnose` makes of the failure. However it ends, no process is left.
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
            process = spawn(argv, pass_fds=inherited, niceness=niceness, bounds=self._bounds)
            stack.callback(end, process)
            for pipe in ends:
                pipe.close_write()
            files = tuple(sink for sink in outputs.values() if isinstance(sink, Path))
            watched = _Watched(process, on_frames, on_complaint, files)
            for feeder in feeders.values():
                feeder.start(watched.moved)
            with _selector(watched, outputs, pipes, progress) as selector:
                self._watch(selector, watched, stop, on_look)
            watched.take_stderr(b"\n" if watched.complaint else b"")
            for feeder in feeders.values():
                feeder.check()
            return _report(watched, end_code=process.wait(), seconds=time.monotonic() - started)

    def _watch(
        self, selector: selectors.BaseSelector, watched: _Watched, stop: StopSignal, on_look: Callable[[], None]
    ) -> None:
        """Serve the pipes until all are closed, which is when ffmpeg has ended."""
        while selector.get_map():
            ready = selector.select(_LOOK_SECONDS)
            for key, _ in sorted(ready, key=lambda event: event[0].data != watched.take_stderr):
                data = os.read(key.fd, _READ_BYTES)
                if data:
                    key.data(data)
                else:
                    selector.unregister(key.fd)
            looked_at = time.monotonic()
            on_look()
            watched.moved_at += time.monotonic() - looked_at  # while others were waited for, ffmpeg could not move
            watched.look_at_files()
            if stop.is_set():
                raise Stopped
            if time.monotonic() - watched.moved_at > self._stall_seconds:
                raise ProcessStalled(f"ffmpeg did nothing for {self._stall_seconds} s after frame {watched.frames}")


class _Pipe:
    """Both ends of a pipe, closed once each."""

    def __init__(self) -> None:
        self.read, self.write = os.pipe()
        self._open = {self.read, self.write}

    def close_write(self) -> None:
        """Close our copy of the writing end, so that the reader sees the end of the stream."""
        self._close(self.write)

    def close_read(self) -> None:
        """Close our copy of the reading end, so that the writer hears when the other reader is gone."""
        self._close(self.read)

    def close(self) -> None:
        """Close what is still open."""
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
    """A thread that writes a feed into a pipe; the program that inherited the other end reads it."""

    def __init__(self, pipe: _Pipe, feed: Feed) -> None:
        self.pipe = pipe
        self._feed = feed
        self._moved: Callable[[], None] = lambda: None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write, name="feeder", daemon=True)

    def start(self, moved: Callable[[], None]) -> None:
        """Begin, once the program has its end; `moved` hears of every block that it took."""
        self.pipe.close_read()
        self._moved = moved
        self._thread.start()

    def join(self) -> None:
        """Wait for the thread; it ends with its feed, or with the program."""
        if self._thread.ident is not None:
            self._thread.join()

    def check(self) -> None:
        """Raise what the feed raised."""
        if self._error is not None:
            raise self._error

    def _write(self) -> None:
        try:
            with closing(self._feed) as blocks:
                for block in blocks:
                    self._write_all(block)
        except BrokenPipeError:
            pass  # the program has ended; its exit code and its output say why
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            self._error = error
        finally:
            self.pipe.close_write()

    def _write_all(self, block: bytes) -> None:
        rest = memoryview(block)
        while rest:
            rest = rest[os.write(self.pipe.write, rest) :]
            self._moved()


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
    watched: _Watched, outputs: Mapping[str, Sink | Path | None], pipes: Mapping[str, _Pipe], progress: _Pipe
) -> Iterator[selectors.BaseSelector]:
    """Everything to read from, each with what takes its bytes."""
    stderr: IO[bytes] | None = watched.process.stderr
    if stderr is None:
        raise RuntimeError("the process was started without a pipe for its errors")
    with selectors.DefaultSelector() as selector, stderr:
        selector.register(stderr, selectors.EVENT_READ, watched.take_stderr)
        selector.register(progress.read, selectors.EVENT_READ, watched.take_progress)
        for name, pipe in pipes.items():
            sink = outputs[name]
            if callable(sink):
                selector.register(pipe.read, selectors.EVENT_READ, _moving(watched, sink))
        yield selector


def _moving(watched: _Watched, sink: Sink) -> Sink:
    """A sink whose bytes count as movement, also while it blocks."""

    def take(data: bytes) -> None:
        sink(data)
        watched.moved()

    return take


def _report(watched: _Watched, *, end_code: int, seconds: float) -> RunReport:
    stderr = watched.stderr.decode("utf-8", "replace")
    if end_code:
        error = diagnose(end_code, stderr)
        error.output_tail = output_tail(stderr)
        raise error
    return RunReport(frames=watched.frames, seconds=seconds, stderr=stderr)
