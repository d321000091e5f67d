"""Child processes that never outlive their worker: own process group, parent death signal, minimal environment."""

import ctypes
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from weakref import WeakSet

_PARENT_DEATH = ("setpriv", "--pdeathsig", "KILL", "--")
"""Prefix that has the kernel kill the child when the thread that spawned it ends. `setpriv` is part of util-linux."""
_INHERITED_VARIABLES = ("PATH", "LD_LIBRARY_PATH")
_FIXED_VARIABLES = {"LC_ALL": "C.UTF-8", "SVT_LOG": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
"""Variables of every child.

`SVT_LOG`: SVT-AV1 ignores ffmpeg's log level; 1 prints errors only, since every line of stderr counts as a decoder
error. `CUDA_DEVICE_ORDER`: number devices as NVML does; the default begins with the fastest.
"""
_END_SECONDS = 10
_REAP_SECONDS = 0.005
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_MAX_NICENESS = 19
_spawned: WeakSet[subprocess.Popen[bytes]] = WeakSet()
"""Processes that `spawn` started. `kill_children` does not touch other children of this process."""
_spawning = threading.Lock()
_lasting: WeakSet[threading.Thread] = WeakSet()
"""Threads other than the main one that start processes."""
_ENDED = ("", "Z", "X")
"""Process states in /proc/PID/stat that mean the process has ended; empty: there is no such process."""


def allow_spawning() -> None:
    """Let this thread start processes. It must live as long as they do: the kernel kills them when it ends."""
    _lasting.add(threading.current_thread())


def spawn(
    argv: Sequence[str],
    *,
    pass_fds: Sequence[int] = (),
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.PIPE,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, with no secrets in its environment.

    The child is killed when the thread that started it ends. It stays in its parent's session, for `set_niceness`.
    `folder` is its working directory. A program that opens a stranger's file is started by `execution.jail` only.

    Raises RuntimeError outside the main thread and those of `allow_spawning`.
    """
    thread = threading.current_thread()
    if thread is not threading.main_thread() and thread not in _lasting:
        raise RuntimeError("processes are started from the main thread, or one that lasts as long")
    with _spawning:
        process = subprocess.Popen(  # noqa: S603 - an argument list, made by our own code
            [*_PARENT_DEATH, *argv],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
            process_group=0,
            cwd=folder,
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
    """A process of our own program that runs beside this one, and is killed with it.

    It has the same environment, but for the variables `without`.

    The kernel kills it when the thread that called `ensure_running` ends.
    """

    def __init__(self, argv: Sequence[str], *, without: Collection[str] = ()) -> None:
        self._argv = argv
        self._without = without
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
            [*_PARENT_DEATH, *self._argv],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if name not in self._without},
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


def end(process: subprocess.Popen[bytes], *, kill: bool) -> int:
    """Wait for a process that `spawn` started, and kill what remains of its group. `kill`: kill all of it at once.

    One that has closed its pipes gets ten seconds to end. The group is killed before the process is reaped: until then
    no other can have its number.
    """
    if process.returncode is None:
        if not kill:
            _wait_for_end(process)
        kill_group(process)
    code = process.wait(timeout=_END_SECONDS)
    _reap_group(process.pid)
    return code


def adopt_orphans() -> None:
    """Become the parent of what loses its parent below this process, so that `end` can wait until it is gone."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def hide_from_children() -> None:
    """Keep processes of the same user from reading this one's memory and environment; also in processes it forks."""
    _prctl(_PR_SET_DUMPABLE, 0)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def _reap_group(group: int) -> None:
    """Wait for the children of this process that are left in a killed process group."""
    deadline = time.monotonic() + _END_SECONDS
    with suppress(ChildProcessError):  # there are none
        while time.monotonic() < deadline:
            if os.waitpid(-group, os.WNOHANG) == (0, 0):
                time.sleep(_REAP_SECONDS)


def _wait_for_end(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a process, but not for long, and do not reap it."""
    descriptor = os.pidfd_open(process.pid)
    try:
        select.select([descriptor], [], [], _END_SECONDS)
    finally:
        os.close(descriptor)


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
    tasks = Path("/proc", str(of or "self"), "task")
    try:
        names = os.listdir(tasks)  # noqa: PTH208 - five times a second for each run
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return []
    return [int(pid) for name in names for pid in _read(tasks / name / "children").split()]


def descendant_pids(of: int) -> list[int]:
    """List the pids of all that a process started, and of all that those started."""
    found = child_pids(of)
    for pid in found:
        found += child_pids(pid)
    return found


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process and all its descendants so far; 0 when it has ended."""
    fields = _read(Path("/proc", str(pid), "stat")).rpartition(")")[2].split()
    ticks = sum(int(field) for field in fields[11:15])  # utime, stime, and those of children that have ended
    return ticks / os.sysconf("SC_CLK_TCK") + sum(processor_seconds(child) for child in child_pids(pid))


def is_running(pid: int) -> bool:
    """Return True until the process has ended; a killed one may take a while in its driver."""
    state = _read(Path("/proc", str(pid), "stat")).rpartition(")")[2].strip()[:1]
    return state not in _ENDED


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):  # a thread or process that has just ended
        return ""
