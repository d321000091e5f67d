"""Child processes that never outlive their worker: own process group, death with the parent, nothing inherited."""

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PARENT_DEATH = ("setpriv", "--pdeathsig", "KILL", "--")
"""The death signal follows the thread that spawned, and is set by a program of util-linux, which every Debian has."""
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")
_FIXED_VARIABLES = {"LC_ALL": "C.UTF-8", "SVT_LOG": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
"""SVT-AV1 prints past ffmpeg's log level what it is: only errors, or they would be taken for complaints.

CUDA counts devices as NVML does; left to itself, it would begin with the fastest.
"""
_END_SECONDS = 10
_ENDED = ("", "Z", "X")
"""Letters of the states of a process that does nothing any more; none: it is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the kernel lets a process have: the second line of defence.

    Memory is not among it: address space, all that can be bounded, says little of memory in use; encoders reserve much.
    """

    file_bytes: int
    cpu_seconds: int

    @property
    def prefix(self) -> tuple[str, ...]:
        """The words in front of a command that set them, by a program of util-linux too. No core is dumped either."""
        return ("prlimit", f"--fsize={self.file_bytes}", f"--cpu={self.cpu_seconds}", "--core=0", "--")


def spawn(  # noqa: PLR0913 - what one process gets, by name
    argv: Sequence[str],
    *,
    pass_fds: Sequence[int] = (),
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.PIPE,
    niceness: int = 0,
    bounds: Bounds | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, with no secrets in its environment.

    Only the main thread may do this: a child dies with the thread that started it.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("processes are started from the main thread only")
    polite = ("nice", "-n", str(niceness)) if niceness else ()
    return subprocess.Popen(  # noqa: S603 - an argument list, made by our own code
        [*polite, *(bounds.prefix if bounds else ()), *_PARENT_DEATH, *argv],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        pass_fds=pass_fds,
        start_new_session=True,
        env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ} | _FIXED_VARIABLES,
    )


class Companion:
    """A program of our own that works beside this process, with all of its environment, and dies with it.

    It is started by the thread that looks after it, and is killed when that thread ends.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = argv
        self._process: subprocess.Popen[bytes] | None = None

    def look(self) -> bool:
        """Start it, if it does not run. Returns whether it had to be started."""
        if self._process is not None and self._process.poll() is None:
            return False
        self._process = subprocess.Popen(  # noqa: S603 - an argument list, made by our own code
            [*_PARENT_DEATH, *self._argv], stdin=subprocess.DEVNULL, start_new_session=True
        )
        return True

    def close(self, *, grace_seconds: float) -> None:
        """End it; one that does not obey is killed, and one that hangs in a driver is left to that."""
        if self._process is None:
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=grace_seconds)
        with suppress(subprocess.TimeoutExpired):
            end(self._process)


def end(process: subprocess.Popen[bytes]) -> int:
    """Kill the whole group of a process, reap it and give its exit code; a process that has ended keeps its own."""
    if process.poll() is None:
        kill_group(process)
    return process.wait(timeout=_END_SECONDS)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and everything it started, at once and without mercy: what it was writing is thrown away."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def kill_children() -> None:
    """Kill the group of everything that `spawn` started, from any thread: who waits for them finds them ended."""
    for pid in children():
        with suppress(ProcessLookupError):
            if os.getpgid(pid) == pid:
                os.killpg(pid, signal.SIGKILL)


def children(of: int | None = None) -> list[int]:
    """Process ids of this process's own children, or those of another, whichever of its threads started them."""
    tasks = Path("/proc", str(of or "self"), "task").glob("*/children")
    return [int(pid) for task in tasks for pid in _read(task).split()]


def is_running(pid: int) -> bool:
    """Whether there is a process that has not ended; one that is killed may take a while in its driver."""
    state = _read(Path("/proc", str(pid), "stat")).rpartition(")")[2].strip()[:1]
    return state not in _ENDED


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):  # a thread or process that has just ended
        return ""
