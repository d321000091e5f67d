"""Running ffmpeg: reads outputs from pipes while they are encoded, watches progress, kills stalled or stopped runs."""

import math
import os
import selectors
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import IO, Protocol

from configuration import ExecutionConfig, LimitConfig
from execution.budget import InspectionBudget
from execution.guard import Limits, run_limits
from execution.isolation import ffmpeg_path, jail_of
from execution.jail import NO_DEVICES, Cell, Child, Devices
from execution.pipes import Feed, Feeder, Pipe, open_feeder, open_pipe
from execution.process import set_niceness
from execution.stall import StallTimer
from transcoding.commands.command import FfmpegCommand
from transcoding.commands.diagnosis import diagnose, output_tail
from transcoding.commands.progress import parse_progress
from transcoding.encoders import HardwareDevice
from transcoding.errors import EncoderFailed, InputRejected, ProcessStalled

Sink = Callable[[bytes], None]
"""Consumer of the next bytes of an output. It may block; ffmpeg waits meanwhile."""

_NO_FEEDS: Mapping[str, Feed] = MappingProxyType({})
_READ_BYTES = 1 << 18
_STDERR_TAIL_BYTES = 1 << 14
_POLL_SECONDS = 0.05
"""Longest time until a segment that was uploaded meanwhile is published."""
_QUERY_TIMEOUT_SECONDS = 10
_READABLE = 0o644
_QUERY_MEMORY_BYTES = 256 << 20
_NVIDIA_NODES = ("nvidia*", "nvidia-caps/*")
_RUNS_LONGER = 4
"""Times that a run may take longer than the longest step that is planned: the machine may be busy with other work."""


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

    child: Child
    on_frames: Callable[[int], None]
    on_stderr_line: Callable[[str], None]
    requested_niceness: Callable[[], int]
    stall: StallTimer
    """Output is a new frame, bytes of an output or input, or a change of an output file."""
    files: tuple[Path, ...] = ()
    paced_by: tuple[Feeder, ...] = ()
    """Feeds that come at a pace of their own; none: the run is to be done as fast as it can."""
    frames: int = 0
    niceness: int = 0
    stderr: bytes = b""
    partial_line: bytes = b""
    progress_text: str = ""
    written: tuple[tuple[int, int], ...] = ()

    def apply_niceness(self) -> None:
        niceness = self.requested_niceness()
        if niceness > self.niceness:
            set_niceness(self.child.process, niceness)
            self.niceness = niceness

    def take_stderr(self, data: bytes) -> None:
        """Report complete lines and keep the tail: stderr of a broken file is unbounded."""
        self.stderr = (self.stderr + data)[-_STDERR_TAIL_BYTES:]
        *lines, rest = (self.partial_line + data).split(b"\n")
        self.partial_line = rest[-_STDERR_TAIL_BYTES:]
        for line in lines:
            self.on_stderr_line(line.decode("utf-8", "replace"))

    def check_files(self) -> None:
        """Count growth of output files as activity: no frames are reported while `+faststart` moves the index."""
        stats = [path.lstat() for path in self.files if os.path.lexists(path)]
        written = tuple((stat.st_size, stat.st_mtime_ns) for stat in stats)
        if written != self.written:
            self.written = written
            self.stall.reset()
            self.on_frames(self.frames)

    def check_pace(self) -> bool:
        """Count waiting for a feed as activity. Returns True if feeds decide how long the run lasts."""
        if any(feeder.empty for feeder in self.paced_by):
            self.stall.reset()
        return bool(self.paced_by)

    def check_processor(self) -> None:
        """Count work without output as activity: an encoder may look ahead for minutes, and keeps its lease."""
        if self.stall.works():
            self.on_frames(self.frames)

    def take_progress(self, data: bytes) -> None:
        """Count only new frames as activity: ffmpeg reports every half second even when it hangs."""
        *lines, self.progress_text = (self.progress_text + data.decode("ascii", "replace")).split("\n")
        if len(self.progress_text) > _STDERR_TAIL_BYTES:
            raise EncoderFailed("ffmpeg reports its progress in a line without end")
        for report in parse_progress(lines):
            if report.frame > self.frames:
                self.frames = report.frame
                self.stall.reset()
                self.on_frames(report.frame)


class FfmpegRunner:
    """Runs ffmpeg commands in the jail that the settings request; nothing else starts ffmpeg."""

    def __init__(
        self, config: ExecutionConfig, limits: LimitConfig, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._config = config
        self._jail = jail_of(config)
        self.binary = ffmpeg_path(config)
        self._max_pixels = limits.max_pixels
        self._stall_seconds = config.stall_seconds
        self._max_silent_seconds = limits.max_step_seconds
        self._max_run_seconds = limits.max_step_seconds * _RUNS_LONGER

    def version(self) -> str:
        """Return ffmpeg's version, e.g. 9.0.2-static; empty when it does not start."""
        words = self._query("-version").split(maxsplit=3)
        return words[2] if words[:2] == ["ffmpeg", "version"] else ""

    def encoders(self) -> frozenset[str]:
        """List the encoders that ffmpeg was built with. They may still fail on this machine."""
        lines = (line.split() for line in self._query("-encoders").splitlines())
        return frozenset(words[1] for words in lines if len(words) > 1)

    def _query(self, option: str) -> str:
        with self._jail.cell() as cell:
            child = cell.start(
                [self.binary, "-v", "error", option],
                limits=self._limits(_QUERY_MEMORY_BYTES),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            return child.output(seconds=_QUERY_TIMEOUT_SECONDS)

    def _limits(self, memory_bytes: int, output_bytes: int | None = None) -> Limits:
        return run_limits(self._config, memory_bytes=memory_bytes, output_bytes=output_bytes)

    def run(  # noqa: PLR0913 - inputs, outputs and callbacks of one process, by name
        self,
        command: FfmpegCommand,
        outputs: Mapping[str, Sink | Path | None],
        *,
        inputs: Mapping[str, Feed] = _NO_FEEDS,
        stop: StopSignal,
        folder: Path | None = None,
        output_bytes: int | None = None,
        paced: bool = False,
        on_frames: Callable[[int], None] = lambda _: None,
        on_poll: Callable[[], None] = lambda: None,
        niceness: Callable[[], int] = lambda: 0,
        on_stderr_line: Callable[[str], None] = lambda _: None,
        budget: InspectionBudget | None = None,
    ) -> RunReport:
        """Run a command to its end. The process is gone when this returns or raises.

        Args:
            command: the command; its targets and inputs are named.
            outputs: per target a sink (fed through a pipe), a path, all in one folder, or None to discard the output.
            inputs: per input a feed, written into a pipe by a thread.
            stop: ends the run when it is set.
            folder: the folder in which ffmpeg works, and the only one that it may write to; paths in options are
                relative to it. None: that of the outputs, or none.
            output_bytes: limit of all files in it together; None: that of the installation.
            paced: the feeds come at a pace of their own, for hours perhaps: time has no limit, neither has that of the
                processor, and to wait for a feed is no stall.
            on_frames: gets the number of frames written so far; also called while only files grow.
            on_poll: called after every read, at least every 0.05 s; time spent in it does not count as a stall.
            on_stderr_line: gets each line of stderr before sinks get anything that was encoded after it.
            niceness: returns by how much the process is nicer than this one. Read at every poll; it may only rise.
            budget: bounds of memory and processor time; the end of either raises InputRejected.

        Raises:
            Stopped: the stop signal was set.
            ProcessStalled: for `stall_seconds` there was neither output nor work, for `max_step_seconds` no output, or
                the run takes several times `max_step_seconds`.
            ResourceExceeded: it used more memory, processor time, processes or space than it may.
            TranscodeError: ffmpeg failed; `diagnose` chooses the class.

        """
        started = time.monotonic()
        files = tuple(sink for sink in outputs.values() if isinstance(sink, Path))
        folder = folder or (files[0].parent if files else None)
        with ExitStack() as stack:
            if command.files:
                folder = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vodmill-run-")))
                _write(command.files, folder)
            feeders = {name: stack.enter_context(open_feeder(feed)) for name, feed in inputs.items()}
            pipes = {name: stack.enter_context(open_pipe()) for name, sink in outputs.items() if callable(sink)}
            progress = stack.enter_context(open_pipe())
            targets = {name: _target(sink, pipes.get(name)) for name, sink in outputs.items()}
            cell = stack.enter_context(self._jail.cell(inputs=_input_files(command, inputs), folder=folder))
            argv = command.argv(
                self.binary,
                targets,
                progress=f"pipe:{progress.write}",
                max_pixels=self._max_pixels,
                addresses=_addresses(command, feeders, cell),
            )
            ends = [*pipes.values(), progress]
            inherited = [*(feeder.pipe.read for feeder in feeders.values()), *(pipe.write for pipe in ends)]
            limits = self._limits(command.memory_bytes, output_bytes)
            if paced:
                limits = replace(limits, cpu_seconds=0)
            child = cell.start(
                argv,
                pass_fds=inherited,
                limits=budget.limits(limits) if budget else limits,
                devices=device_nodes(command.device) if command.device else NO_DEVICES,
            )
            for pipe in ends:
                pipe.close_write()
            if budget:
                budget.watch(child.process.pid)
            silent_seconds = math.inf if paced else self._max_silent_seconds
            stall = StallTimer(child.process.pid, self._stall_seconds, silent_seconds, clock=self._clock)
            run = _Run(
                child, on_frames, on_stderr_line, niceness, stall, files, tuple(feeders.values()) if paced else ()
            )
            run.apply_niceness()
            for feeder in feeders.values():
                feeder.start(stall.reset)
            with _selector(run, outputs, pipes, progress) as selector:
                self._watch(selector, run, stop, on_poll, budget)
            run.take_stderr(b"\n" if run.partial_line else b"")
            for feeder in feeders.values():
                feeder.check()
            report = _report(run, child.wait(), budget, seconds=time.monotonic() - started)
            for file in files:
                _require_regular(file)
            return report

    def _watch(
        self,
        selector: selectors.BaseSelector,
        run: _Run,
        stop: StopSignal,
        on_poll: Callable[[], None],
        budget: InspectionBudget | None,
    ) -> None:
        """Serve the pipes until all are closed: ffmpeg has ended then."""
        started_at = self._clock()
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
            waited = self._clock() - polled_at  # ffmpeg may have waited for this callback
            run.stall.extend(waited)
            started_at += waited
            run.check_files()
            run.check_processor()
            if budget:
                budget.check()
            if stop.is_set():
                raise Stopped
            if run.check_pace():
                started_at = self._clock()
            run.stall.check(f"ffmpeg did nothing after frame {run.frames}")
            if self._clock() - started_at > self._max_run_seconds:
                raise ProcessStalled(f"ffmpeg did not finish within {self._max_run_seconds} s")


def _target(sink: Sink | Path | None, pipe: Pipe | None) -> str:
    if pipe is not None:
        return f"pipe:{pipe.write}"
    return f"file:{sink.name}" if isinstance(sink, Path) else "-"


def _input_files(command: FfmpegCommand, feeds: Mapping[str, Feed]) -> list[Path]:
    """List the files that a command reads. Devices such as /dev/zero are everybody's."""
    paths = (Path(each.path) for each in command.inputs if not each.made_up and each.path not in feeds)
    return [path for path in paths if path.is_file()]


def _addresses(command: FfmpegCommand, feeders: Mapping[str, Feeder], cell: Cell) -> dict[str, str]:
    """Return what stands behind `-i` for each input that is fed or a file."""
    files = {str(path): f"file:{cell.name(path)}" for path in _input_files(command, {})}
    return files | {name: f"pipe:{feeder.pipe.read}" for name, feeder in feeders.items()}


def _require_regular(path: Path) -> None:
    """Refuse an output that is anything but a file of its own: a link would have us read what the program could not."""
    status = path.lstat() if os.path.lexists(path) else None
    if status and (not stat.S_ISREG(status.st_mode) or status.st_nlink != 1):
        raise InputRejected("the program left something else than a file")


def device_nodes(device: HardwareDevice) -> Devices:
    """Return the nodes of a device. Of NVIDIA's all: CUDA numbers the devices that it can open."""
    nvidia = (node for pattern in _NVIDIA_NODES for node in Path("/dev").glob(pattern))
    found = [Path(device.render_node)] if device.render_node else nvidia
    return Devices(nodes=tuple(node for node in found if node.is_char_device()))


def _write(files: Mapping[str, str], folder: Path) -> None:
    """Write the texts that a run reads, for whichever user it runs as."""
    for name, text in files.items():
        path = folder / name
        path.write_text(text, encoding="utf-8", newline="")
        path.chmod(_READABLE)


@contextmanager
def _selector(
    run: _Run, outputs: Mapping[str, Sink | Path | None], pipes: Mapping[str, Pipe], progress: Pipe
) -> Iterator[selectors.BaseSelector]:
    """Register every descriptor to read with the function that takes its bytes."""
    stderr: IO[bytes] | None = run.child.process.stderr
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
        run.stall.reset()

    return take


def _report(run: _Run, end_code: int, budget: InspectionBudget | None, *, seconds: float) -> RunReport:
    stderr = run.stderr.decode("utf-8", "replace")
    if end_code and budget and (refusal := budget.refusal(stderr)):
        raise refusal
    if end_code:
        error = diagnose(end_code, stderr, copying=budget is not None)
        error.output_tail = output_tail(stderr)
        raise error
    return RunReport(frames=run.frames, seconds=seconds, stderr=stderr)
