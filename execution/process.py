"""Child processes that never outlive their worker: own process group, parent death signal, minimal environment."""

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakSet

_PARENT_DEATH = ("setpriv", "--pdeathsig", "KILL", "--")
"""Prefix that has the kernel kill the child when the thread that spawned it ends. `setpriv` is part of util-linux."""
_INHERITED_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")
_FIXED_VARIABLES = {"LC_ALL": "C.UTF-8", "SVT_LOG": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
"""Variables of every child.

`SVT_LOG`: SVT-AV1 ignores ffmpeg's log level; 1 prints errors only, since every line of stderr counts as a decoder
error. `CUDA_DEVICE_ORDER`: number devices as NVML does; the default begins with the fastest.
"""
_END_SECONDS = 10
_MAX_NICENESS = 19
_spawned: WeakSet[subprocess.Popen[bytes]] = WeakSet()
"""Processes that `spawn` started. `kill_children` does not touch other children of this process."""
_spawning = threading.Lock()
_ENDED = ("", "Z", "X")
"""Process states in /proc/PID/stat that mean the process has ended; empty: there is no such process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceLimits:
    """Limits that the kernel enforces on a process.

    Memory is not limited: only address space can be, and encoders reserve far more of it than they use.
    """

    file_bytes: int
    """Size of any file that it writes."""
    cpu_seconds: int
    """CPU time of all its threads."""

    @property
    def prefix(self) -> tuple[str, ...]:
        """Arguments to put in front of a command. `prlimit` is part of util-linux; core dumps are off."""
        return ("prlimit", f"--fsize={self.file_bytes}", f"--cpu={self.cpu_seconds}", "--core=0", "--")


def spawn(
    argv: Sequence[str],
    *,
    pass_fds: Sequence[int] = (),
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.PIPE,
    limits: ResourceLimits | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, with no secrets in its environment.

    The child is killed when the thread that started it ends. It stays in its parent's session, for `set_niceness`.

    Raises RuntimeError outside the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("processes are started from the main thread only")
    with _spawning:
        process = subprocess.Popen(  # noqa: S603 - an argument list, made by our own code
            [*(limits.prefix if limits else ()), *_PARENT_DEATH, *argv],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
            process_group=0,
            env={name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ} | _FIXED_VARIABLES,
        )
        _spawned.add(process)
    return process


def set_niceness(process: subprocess.Popen[bytes], niceness: int) -> None:
    """Make a process that `spawn` started, with all its threads and children, nicer than this process by so much.

    It counts against processes of the same session only, where the kernel shares the processor out by session first
    (`sched_autogroup_enabled`). Only root may lower it again.
    """
    own = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(ProcessLookupError, PermissionError):
        os.setpriority(os.PRIO_PGRP, process.pid, min(own + niceness, _MAX_NICENESS))


class Sidecar:
    """A process of our own program that runs beside this one with the same environment, and is killed with it.

    The kernel kills it when the thread that called `ensure_running` ends.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = argv
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, also after it has ended; None before the first start."""
        return self._process.pid if self._process else None

    def ensure_running(self) -> bool:
        """Start the process unless it runs. Returns True when it was started."""
        if self._process is not None and self._process.poll() is None:
            return False
        self._process = subprocess.Popen(  # noqa: S603 - an argument list, made by our own code
            [*_PARENT_DEATH, *self._argv], stdin=subprocess.DEVNULL, start_new_session=True
        )
        return True

    def close(self, *, grace_seconds: float) -> None:
        """Terminate the process and kill it after `grace_seconds`. One that hangs in a driver is left behind."""
        if self._process is None:
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=grace_seconds)
        with suppress(subprocess.TimeoutExpired):
            kill_and_wait(self._process)


def kill_and_wait(process: subprocess.Popen[bytes]) -> int:
    """Kill the process group unless the process has ended, reap it and return its exit code."""
    if process.poll() is None:
        kill_group(process)
    return process.wait(timeout=_END_SECONDS)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Send SIGKILL to a process and everything it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def kill_children() -> None:
    """Kill the process groups that `spawn` started. May be called from any thread; the main thread reaps them."""
    with _spawning:
        spawned = {process.pid for process in _spawned}
    for pid in spawned.intersection(child_pids()):
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def child_pids(of: int | None = None) -> list[int]:
    """List the pids of the children of a process (this one by default), of all its threads."""
    tasks = Path("/proc", str(of or "self"), "task").glob("*/children")
    return [int(pid) for task in tasks for pid in _read(task).split()]


def is_running(pid: int) -> bool:
    """Return True until the process has ended; a killed one may take a while in its driver."""
    state = _read(Path("/proc", str(pid), "stat")).rpartition(")")[2].strip()[:1]
    return state not in _ENDED


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):  # a thread or process that has just ended
        return ""
