"""One jailed remux process, as the server sees it: streams go in with their descriptors, messages come out."""

import importlib.util
import logging
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from configuration import ExecutionConfig
from execution.guard import Limits, run_limits
from execution.isolation import jail_of
from execution.jail import Child
from execution.process import allow_spawning
from execution.remuxing.jailed.messages import (
    BROKEN,
    MAX_BYTES,
    End,
    Ended,
    Failed,
    Message,
    Ready,
    Start,
    Started,
    Statistics,
    packed,
    unpacked,
)

log = logging.getLogger(__name__)

MAX_STREAMS = 16
"""Streams of one process. Its threads share one lock of Python, which two thirds of a core's streams leave free."""
FULL = "full"
"""Code of the error where no process has room: the others are those of messages."""
_PROGRAM = Path(__file__).with_name("jailed") / "program.py"
_MEMORY_BYTES = 512 << 20
"""Several times what a process with all its streams was measured to use."""
_CPU_SECONDS = 1 << 30
"""Any: it serves for as long as there are streams."""
_POLL_SECONDS = 1.0
_END_SECONDS = 1.0
_KILL_SECONDS = 10.0
"""Time from then on, after which a process that has not answered is killed."""
_STDERR_TAIL_BYTES = 1 << 12


class RemuxError(Exception):
    """A stream could not be remuxed, or no more. `code` is `FULL` or one of the codes of messages."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class RemuxStream:
    """One stream. `input` and `output` belong to whoever started it; the process has the other ends."""

    def __init__(self, number: int, process: "RemuxProcess") -> None:
        self.number = number
        self.input = self.output = -1
        self.started: Started | None = None
        self.statistics = Statistics(stream=number)
        self._process = process
        self._failure: Failed | None = None
        self._over = threading.Event()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is over; False: it is not within `seconds`. Raises RemuxError when it failed."""
        over = self._over.wait(seconds)
        if self._failure:
            raise RemuxError(self._failure.code, self._failure.text)
        return over

    def end(self) -> None:
        """End it at once, from any thread. The process has no thread and no descriptor of it when this returns.

        Where the process does not answer within a second, it gets no further streams; ten seconds later it is killed.
        """
        if not self._over.is_set():
            self._process.send(End(stream=self.number))
            if not self._over.wait(_END_SECONDS):
                self._process.expect_end(self.number)

    def receive(self, message: Message) -> None:
        """Take a message of the process."""
        match message:
            case Started():
                self.started = message
            case Statistics():
                self.statistics = message
            case Failed():
                self._failure = message
                self._over.set()
            case Ended():
                self._over.set()
            case _:
                pass


class _Untrustworthy(Exception):
    """The process does what our program never does. It is killed."""


class RemuxProcess:
    """A process of one owner, with a thread that starts it, listens to it, and ends it."""

    def __init__(
        self,
        config: ExecutionConfig,
        *,
        owner: UUID,
        python: str,
        idle_seconds: float,
        on_over: Callable[["RemuxProcess"], None],
    ) -> None:
        self.owner = owner
        self.pid: int | None = None
        self._config = config
        self._python = python
        self._idle_seconds = idle_seconds
        self._on_over = on_over
        self._streams: dict[int, RemuxStream] = {}
        self._overdue: dict[int, float] = {}
        """Times at which the process is killed if these streams have not ended."""
        self._retired = False
        self._lock = threading.Lock()
        self._idle_since = time.monotonic()
        self._control, self._other_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._thread = threading.Thread(target=self._run, name="remux-process", daemon=True)
        self._thread.start()

    def add(self, start: Start) -> RemuxStream | None:
        """Start a stream; None: the process has no room for it, or has ended, or no descriptors are left."""
        stream = RemuxStream(start.stream, self)
        with self._lock:
            if self._retired or len(self._streams) >= MAX_STREAMS:
                return None
            try:
                (source, stream.input), (stream.output, output) = _two_pipes()
            except OSError:
                return None
            self._streams[start.stream] = stream
        try:
            socket.send_fds(self._control, [packed(start)], [source, output], socket.MSG_DONTWAIT)
        except OSError:
            self._receive(Failed(stream=start.stream, code=BROKEN, text="the remux process has ended"))
        finally:
            os.close(source)
            os.close(output)
        return stream

    def send(self, message: Message) -> None:
        """Send a message, from any thread. One that does not read has ended, or is about to be retired."""
        with suppress(OSError):
            self._control.send(packed(message), socket.MSG_DONTWAIT)

    def retire(self) -> None:
        """Take no more streams, and end with the last one."""
        with self._lock:
            self._retired = True

    def retire_if_idle(self) -> bool:
        """Retire it if it has no streams, so that it ends soon. Tell whether it has none."""
        with self._lock:
            self._retired = self._retired or not self._streams
            return not self._streams

    def expect_end(self, number: int) -> None:
        """Retire it; kill it if a stream that is to end has not ended in time."""
        with self._lock:
            self._retired = True
            self._overdue.setdefault(number, time.monotonic() + _KILL_SECONDS)

    def close(self) -> None:
        """End the process and its streams, and wait for that."""
        self.retire()
        with suppress(OSError):  # it has ended
            self._control.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _run(self) -> None:
        allow_spawning()
        reason = "the remux process was ended"
        try:
            with jail_of(self._config).cell() as cell:
                child = cell.start(
                    [self._python, "-I", "-S", "-B", str(_PROGRAM), str(self._other_end.fileno()), str(_av_folder())],
                    readable=_readable(),
                    limits=_limits(self._config),
                    pass_fds=[self._other_end.fileno()],
                    stderr=subprocess.PIPE,
                )
                self._other_end.close()
                self.pid = child.process.pid
                if tail := self._listen(child):
                    reason = f"the remux process ended with {child.wait()}"
                    log.warning("a remux process ended", extra={"event": "remux_process_ended", "detail": tail})
        except _Untrustworthy as error:
            reason = f"the remux process was killed: {error}"
            log.warning("a remux process was killed", extra={"event": "remux_process_killed", "detail": str(error)})
        except Exception as error:
            reason = f"the remux process failed: {error}"
            log.exception("a remux process failed", extra={"event": "remux_process_failed"})
        finally:
            self._end_all(reason)

    def _listen(self, child: Child) -> str | None:
        """Listen until it ends, or is to end. Return what it said last if it ended by itself.

        Raises _Untrustworthy.
        """
        said = b""
        stderr = child.process.stderr
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            if stderr:
                selector.register(stderr, selectors.EVENT_READ)
            while not self._is_idle():
                self._check_overdue()
                for key, _ in selector.select(_POLL_SECONDS):
                    if key.fileobj is self._control:
                        data = self._received()
                        if not data:
                            said = (said + child.output(seconds=_END_SECONDS).encode())[-_STDERR_TAIL_BYTES:]
                            return None if self._retired else said.decode(errors="replace") or "nothing"
                        self._receive(_message(data))
                    else:
                        block = os.read(key.fd, _STDERR_TAIL_BYTES)
                        said = (said + block)[-_STDERR_TAIL_BYTES:]
                        if not block:
                            selector.unregister(key.fileobj)
        return None

    def _received(self) -> bytes:
        """Return the next message; empty: the process has ended, perhaps with messages that it had not read."""
        try:
            return self._control.recv(MAX_BYTES)
        except ConnectionResetError:
            return b""

    def _is_idle(self) -> bool:
        """Tell whether it has been without streams for long enough; it gets none any more then."""
        with self._lock:
            if self._streams:
                self._idle_since = time.monotonic()
            idle = not self._streams and (self._retired or time.monotonic() - self._idle_since > self._idle_seconds)
            self._retired = self._retired or idle
            return idle

    def _check_overdue(self) -> None:
        """Raise _Untrustworthy where a stream should have ended long ago."""
        with self._lock:
            self._overdue = {number: end for number, end in self._overdue.items() if number in self._streams}
            late = any(end <= time.monotonic() for end in self._overdue.values())
        if late:
            raise _Untrustworthy("a stream did not end")

    def _receive(self, message: Message) -> None:
        if isinstance(message, Start | End | Ready):
            return
        with self._lock:
            stream = self._streams.get(message.stream)
            if isinstance(message, Ended | Failed):
                self._streams.pop(message.stream, None)
                self._idle_since = time.monotonic()
        if stream:
            stream.receive(message)

    def _end_all(self, reason: str) -> None:
        self.retire()
        self._control.close()
        self._other_end.close()
        self._on_over(self)
        with self._lock:
            left, self._streams = list(self._streams), dict(self._streams)
        for number in left:
            self._receive(Failed(stream=number, code=BROKEN, text=reason))


def _two_pipes() -> tuple[tuple[int, int], tuple[int, int]]:
    """Return both, or raise OSError and leave none."""
    first = os.pipe()
    try:
        return first, os.pipe()
    except OSError:
        for descriptor in first:
            os.close(descriptor)
        raise


def _message(data: bytes) -> Message:
    try:
        return unpacked(data)
    except ValueError as error:
        raise _Untrustworthy(str(error)) from error


def _av_folder() -> Path:
    """Return the folder of PyAV, which this process does not import."""
    spec = importlib.util.find_spec("av")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("PyAV is not installed", name="av")
    return Path(spec.origin).parent


def _readable() -> list[Path]:
    """List what the program loads: Python, its own package, PyAV and the libraries beside it."""
    av = _av_folder()
    return [Path(sys.base_prefix), _PROGRAM.parent, av, av.with_name("av.libs")]


def _limits(config: ExecutionConfig) -> Limits:
    limits = run_limits(config, memory_bytes=_MEMORY_BYTES)
    return Limits(
        memory_bytes=limits.memory_bytes,
        file_bytes=limits.file_bytes,
        output_bytes=limits.output_bytes,
        cpu_seconds=_CPU_SECONDS,
        processes=limits.processes,
    )
