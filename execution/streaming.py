"""Running ffmpeg on live streams: bytes in through a pipe, bytes out through another, for as long as both last.

Time is nothing to limit here. A stream of many hours uses many hours of the processor, but never more at once than the
threads that its command allows; memory is limited as in every run. Whoever reads the output knows when it stalls, and
ends it.
"""

import logging
import os
import re
import selectors
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from configuration import ExecutionConfig, LimitConfig
from execution.ffmpeg import device_nodes
from execution.guard import run_limits
from execution.isolation import ffmpeg_path, jail_of
from execution.jail import NO_DEVICES, Child, Jail
from execution.lasting import lasting_thread
from execution.pipes import Pipe, open_pipe
from execution.process import descendant_pids, is_running, kill_group
from transcoding.commands.command import FfmpegCommand
from transcoding.commands.live_notes import LiveNotes
from transcoding.commands.progress import parse_progress
from transcoding.errors import ResourceExceeded

log = logging.getLogger(__name__)

_READ_BYTES = 1 << 16
_TAIL_BYTES = 1 << 14
_END_SECONDS = 1.0
_LOOK_SECONDS = 0.005
_CHATTER = re.compile(rb"^(?:\[[^\]]*\] )*\[(?:info|verbose)\]")
"""A line of stderr that is counted only, where the log level of the command has `level`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnd:
    """The end of a run: its exit code, that of a signal negative, and what it said last."""

    code: int
    stderr: str
    exceeded: ResourceExceeded | None = None
    """It was killed because it used more than it may."""
    stopped: bool = False
    """`end` was called before it had ended by itself."""


OnEnd = Callable[[StreamEnd], None]
"""Called once, in a thread of the run, when everything of it is gone; `wait` and `end` return after it."""


class StreamProcess:
    """An ffmpeg at work on a stream.

    `input` is closed by whoever writes to it, `output` by whoever reads it. All else is closed when the run has ended.
    """

    def __init__(  # noqa: PLR0913 - all of one run
        self,
        child: Child,
        feed: Pipe,
        output: Pipe,
        progress: Pipe,
        stack: ExitStack,
        *,
        refuses: Callable[[str], bool],
        on_end: OnEnd,
    ) -> None:
        self.input = feed.leave_write()
        self.output = output.leave_read()
        self.pid = child.process.pid
        self.frames = 0
        """Frames written so far."""
        self.notes = LiveNotes()
        self._stopped = False
        self._killed: list[int] = []
        self._child = child
        self._progress = progress
        self._stack = stack
        self._refuses = refuses
        self._on_end = on_end
        self._tail = b""
        self._partial = b""
        self._report = ""
        self._end: StreamEnd | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stream", daemon=True)
        self._thread.start()

    def stderr(self) -> str:
        """Return the end of its warnings and errors so far, at most 16 KiB."""
        partial = b"" if _CHATTER.match(self._partial) else self._partial
        return (self._tail + partial)[-_TAIL_BYTES:].decode("utf-8", "replace")

    def wait(self, seconds: float | None = None) -> StreamEnd | None:
        """Wait until it has ended and everything of it is gone; None: it has not within `seconds`."""
        self._ended.wait(seconds)
        return self._end

    def end(self) -> bool:
        """Kill it with all that it started, and wait until it is gone. False: a driver keeps it from ending."""
        if not self._ended.is_set():
            self._stopped = True
            self._kill()
        gone = self._ended.wait(_END_SECONDS)
        if not gone:
            log.warning("a stream does not end", extra={"event": "stream_not_ended", "pid": self.pid})
        return gone

    def _kill(self) -> None:
        """Kill it, and note what it started: a sandbox dies with its first process, but a little later."""
        if self._child.process.returncode is None:
            self._killed = [self.pid, *descendant_pids(self.pid)]
            kill_group(self._child.process)

    def _wait_for_killed(self) -> None:
        deadline = time.monotonic() + _END_SECONDS
        while any(map(is_running, self._killed)) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)

    def _watch(self) -> None:
        """Read what it says until it has ended, and clear up."""
        exceeded, code = None, 0
        try:
            self._read()
            code = self._child.wait()
        except ResourceExceeded as error:
            exceeded, code = error, self._child.process.returncode or 0
        except Exception:
            log.exception("a stream was not watched", extra={"event": "stream_unwatched", "pid": self.pid})
            code = -1
        finally:
            self._stack.close()
            self._wait_for_killed()
            self._end = StreamEnd(code=code, stderr=self.stderr(), exceeded=exceeded, stopped=self._stopped)
            try:
                self._on_end(self._end)
            except Exception:
                log.exception("the end of a stream was not recorded", extra={"event": "stream_end_unrecorded"})
            self._ended.set()

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            if self._child.process.stderr:
                selector.register(self._child.process.stderr, selectors.EVENT_READ, self._take_stderr)
            selector.register(self._progress.read, selectors.EVENT_READ, self._take_progress)
            while selector.get_map():
                for key, _ in selector.select():
                    data = os.read(key.fd, _READ_BYTES)
                    if data:
                        key.data(data)
                    else:
                        selector.unregister(key.fd)

    def _take_stderr(self, data: bytes) -> None:
        *lines, rest = (self._partial + data).split(b"\n")
        self._partial = rest[-_TAIL_BYTES:]
        self._tail = (self._tail + b"".join(line + b"\n" for line in lines if not _CHATTER.match(line)))[-_TAIL_BYTES:]
        texts = [line.decode("utf-8", "replace") for line in lines]
        for text in texts:
            self.notes.take(text)
        if not self.frames and any(map(self._refuses, texts)):
            self._kill()

    def _take_progress(self, data: bytes) -> None:
        *lines, rest = (self._report + data.decode("ascii", "replace")).split("\n")
        self._report = rest[-_TAIL_BYTES:]
        for report in parse_progress(lines):
            self.frames = max(self.frames, report.frame)


class StreamRunner:
    """Starts ffmpeg on streams, in the jail that the settings request."""

    def __init__(self, config: ExecutionConfig, limits: LimitConfig) -> None:
        self._config = config
        self._max_pixels = limits.max_pixels
        self._jail: Jail = lasting_thread().run(lambda: jail_of(config))  # which starts programs to find out
        self.binary = ffmpeg_path(config)

    def start(
        self,
        command: FfmpegCommand,
        *,
        refuses: Callable[[str], bool] = lambda _: False,
        on_end: OnEnd = lambda _: None,
    ) -> StreamProcess:
        """Start a command with one input and one output, from any thread. Raises OSError.

        The run is killed at the first line of stderr that `refuses` returns True for, unless it has written frames.
        """
        return lasting_thread().run(lambda: self._start(command, refuses, on_end))

    def _start(self, command: FfmpegCommand, refuses: Callable[[str], bool], on_end: OnEnd) -> StreamProcess:
        (source,), (target,) = command.inputs, command.outputs
        with ExitStack() as stack:
            feed, output, progress = (stack.enter_context(open_pipe()) for _ in range(3))
            cell = stack.enter_context(self._jail.cell())
            argv = command.argv(
                self.binary,
                {target.target: f"pipe:{output.write}"},
                progress=f"pipe:{progress.write}",
                max_pixels=self._max_pixels,
                addresses={source.path: f"pipe:{feed.read}"},
            )
            child = cell.start(
                argv,
                program=self.binary,
                pass_fds=[feed.read, output.write, progress.write],
                limits=replace(run_limits(self._config, memory_bytes=command.memory_bytes), cpu_seconds=0),
                devices=device_nodes(command.device) if command.device else NO_DEVICES,
            )
            for unused in (feed.close_read, output.close_write, progress.close_write):
                unused()
            return StreamProcess(child, feed, output, progress, stack.pop_all(), refuses=refuses, on_end=on_end)
