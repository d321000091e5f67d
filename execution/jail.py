"""The jail of every program that opens a stranger's file: what it can see, reach and use up.

A cell is made for one run. `Cell.name` says under which name the program finds an input; its working directory is
the one folder that it may write to. See docs/security.md for what each form of isolation protects.
"""

import os
import selectors
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Self
from zlib import crc32

from execution.cgroups import Group, delegated
from execution.filter import compiled_filter
from execution.guard import Guard, Limits, Usage, usage_of_group, usage_of_tree
from execution.process import adopt_orphans, end, kill_group, spawn
from transcoding.errors import ResourceExceeded

_LAUNCHER = Path(__file__).with_name("launch.py")
_ENTER = 'echo 1000 > /proc/self/oom_score_adj; [ -z "$0" ] || echo 0 > "$0/cgroup.procs" || exit 125; exec "$@"'
"""Shell script in front of bubblewrap: whatever runs in the jail is the first to be killed when memory is short."""
_RUNTIME = ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/etc/alternatives", "/etc/ld.so.cache")
"""Files that programs need to start. Nothing in it is secret: any user of the machine can read it."""
_CPU_FACTS = "/sys/devices/system/cpu"
_DEVICE_FACTS = "/sys"
"""Drivers look for their devices there."""
_READ_ONLY_DEVICES = ("/dev/urandom", "/dev/random")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full")
_FIRST_USER, _USERS = 0x7000_0000, 0x0FFE_0000
"""Users of slots are numbered from here, and are so many at most; systemd's list has nothing else there."""
_FIRST_USER_OF_FEW, _FEW_USERS = 30_000, 35_000
"""The same in a container that has 65,536 users."""
_FOLDER_MODE = 0o711
"""bubblewrap enters it as root without the rights of root. Others are kept out by the folder that it lies in."""
_OPEN_FILES = 256
_READ_BYTES = 1 << 16
_MAX_SAID_BYTES = 1 << 20
_GRACE_CPU_SECONDS = 5
"""Time between the signal that says why and the one that kills."""
_SIGNALLED = 128
"""bubblewrap ends with this and the number of the signal that ended the program."""
_LARGEST_SIGNAL = 31
"""Of the signals that kill; codes beyond are ffmpeg's own."""
_RESOURCE_SIGNALS = {
    signal.SIGXCPU: "more than the allowed processor time",
    signal.SIGXFSZ: "a larger file than is allowed",
}
_groups = count()


class Isolation(StrEnum):
    """The form of isolation of a node, the strongest first."""

    SANDBOX = "sandbox"
    """Namespaces of its own, by bubblewrap; and for a root worker a user of its own."""
    UID = "uid"
    """A user of its own, a seccomp filter, and Landlock where the kernel has it; for root workers."""
    CONTAINER = "container"
    """The filter and Landlock only: the operator says that the worker's container is the jail."""
    NONE = "none"
    """Limits only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """The device that a run uses: the nodes that its driver opens."""

    nodes: tuple[Path, ...] = ()

    @property
    def groups(self) -> tuple[int, ...]:
        """List the groups that may open those nodes that are not open to everybody."""
        found = (node.stat() for node in self.nodes)
        return tuple(sorted({each.st_gid for each in found if not each.st_mode & stat.S_IWOTH}))


NO_DEVICES = Devices()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """All that a form of isolation must know to start a program."""

    argv: tuple[str, ...]
    program: str
    inputs: tuple[Path, ...]
    readable: tuple[Path, ...]
    folder: Path | None
    devices: Devices
    limits: Limits
    filter_fd: int
    group: Group | None

    @property
    def resource_limits(self) -> dict[str, tuple[int, int]]:
        """Soft and hard limits by the names of the kernel. A run without a folder writes no file at all."""
        limits = self.limits
        found = {
            "CORE": (0, 0),
            "NOFILE": (_OPEN_FILES, _OPEN_FILES),
            "NPROC": (limits.processes, limits.processes),
            "FSIZE": (limits.file_bytes, limits.file_bytes) if self.folder else (0, 0),
        }
        if limits.cpu_seconds:
            found["CPU"] = (limits.cpu_seconds, limits.cpu_seconds + _GRACE_CPU_SECONDS)
        memory = {"AS": limits.address_bytes, "DATA": limits.data_bytes}
        return found | {name: (size, size) for name, size in memory.items() if size}


class Child:
    """A program that runs in a cell."""

    def __init__(self, process: subprocess.Popen[bytes], guard: Guard, *, signals_as_codes: bool) -> None:
        self.process = process
        self._guard = guard
        self._signals_as_codes = signals_as_codes

    def wait(self) -> int:
        """Wait for its end and return the exit code; that of a signal is negative.

        Raises ResourceExceeded when it was killed because it used more than it may.
        """
        code = end(self.process, kill=False)
        if self._signals_as_codes and _SIGNALLED < code <= _SIGNALLED + _LARGEST_SIGNAL:
            code = _SIGNALLED - code
        self._guard.close()
        excess = self._guard.exceeded or _RESOURCE_SIGNALS.get(-code, "")  # type: ignore[call-overload]  # any number
        if excess:
            raise ResourceExceeded(f"the file needs {excess}")
        return code

    def output(self, *, seconds: float) -> str:
        """Read its only pipe to the end: a megabyte at most, and in this time. It is not reaped by this."""
        pipe = self.process.stdout or self.process.stderr
        said, deadline = b"", time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(pipe or -1, selectors.EVENT_READ)
            while len(said) < _MAX_SAID_BYTES and (left := deadline - time.monotonic()) > 0:
                if selector.select(left):
                    block = os.read(pipe.fileno() if pipe else -1, _READ_BYTES)
                    if not block:
                        break
                    said += block
        return said.decode("utf-8", "replace")

    def close(self) -> None:
        """Kill it and everything that it started, if it still runs."""
        end(self.process, kill=True)
        self._guard.close()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()


class Cell:
    """The surroundings of one run: the files that it may read, and the folder that it works in."""

    def __init__(self, jail: "Jail", inputs: Sequence[Path], folder: Path | None) -> None:
        self._jail = jail
        self._inputs = tuple(inputs)
        self._folder = folder
        self._stack = ExitStack()
        self._opened: dict[Path, int] = {}

    def __enter__(self) -> Self:
        if self._jail.own_user:
            for path in self._inputs:
                path.chmod(stat.S_IMODE(path.stat().st_mode) | stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
            if self._folder:
                self._folder.chmod(_FOLDER_MODE)
                os.chown(self._folder, slot_user(), slot_user())
        if self._jail.isolation is Isolation.UID:  # which may not enter the folders that inputs lie in
            for path in self._inputs:
                self._opened[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                self._stack.callback(os.close, self._opened[path])
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def name(self, path: Path) -> str:
        """Return the name under which the program finds an input."""
        return f"/proc/self/fd/{self._opened[path]}" if path in self._opened else str(path)

    def start(  # noqa: PLR0913 - what a process is started with, by name
        self,
        argv: Sequence[str],
        *,
        limits: Limits,
        program: str = "",
        readable: Sequence[Path] = (),
        pass_fds: Sequence[int] = (),
        stdout: int = subprocess.DEVNULL,
        stderr: int = subprocess.PIPE,
        devices: Devices = NO_DEVICES,
    ) -> Child:
        """Start a program. It is killed at the latest when the cell is left. Threads as for `spawn`.

        `program` is the file that it finds, if it is another than that of the first word. `readable` are files and
        folders of ours that it loads; their modes are not changed.
        """
        words = (shutil.which(argv[0]) or argv[0], *argv[1:])
        code = compiled_filter(devices=bool(devices.nodes)) if self._jail.filters else b""
        group = self._group(limits)
        with _memory_file(code) as filter_fd:
            run = _Run(
                argv=words,
                program=program or words[0],
                inputs=self._inputs,
                readable=tuple(readable),
                folder=self._folder,
                devices=devices,
                limits=limits,
                filter_fd=filter_fd,
                group=group,
            )
            process = spawn(
                self._jail.command(run),
                pass_fds=[*pass_fds, *self._opened.values(), *([filter_fd] if code else [])],
                stdout=stdout,
                stderr=stderr,
                folder=self._folder,
            )
        guard = Guard(
            limits,
            usage=lambda: self._jail.usage(process.pid),
            kill=lambda: kill_group(process),
            folder=self._folder,
            group=group,
        )
        child = Child(process, guard, signals_as_codes=self._jail.isolation is Isolation.SANDBOX)
        self._stack.callback(child.close)
        guard.start()
        return child

    def _group(self, limits: Limits) -> Group | None:
        delegation = delegated()
        if delegation is None:
            return None
        name = f"run-{os.getpid()}-{next(_groups)}"
        group = delegation.group(name, memory_bytes=limits.memory_bytes, processes=limits.processes)
        self._stack.callback(group.remove)
        return group


class Jail:
    """Makes cells of one form of isolation."""

    def __init__(self, isolation: Isolation) -> None:
        self.isolation = isolation
        if isolation is not Isolation.SANDBOX:  # which ends with all that is in it
            adopt_orphans()
        self._root = os.geteuid() == 0
        self._libraries = [each for each in os.environ.get("LD_LIBRARY_PATH", "").split(":") if each.startswith("/")]

    @property
    def own_user(self) -> bool:
        """Tell whether programs run as a user of their own."""
        return self._root and self.isolation in {Isolation.SANDBOX, Isolation.UID}

    @property
    def filters(self) -> bool:
        """Tell whether system calls are filtered."""
        return self.isolation is not Isolation.NONE

    def cell(self, *, inputs: Sequence[Path] = (), folder: Path | None = None) -> Cell:
        """Return a cell for one run, a context. It reads `inputs` and writes to `folder`, where it works."""
        return Cell(self, inputs, folder)

    def usage(self, pid: int) -> Usage:
        """Return what a run uses. In a sandbox, who loses its parent is still below it: no need to search further."""
        return usage_of_tree(pid) if self.isolation is Isolation.SANDBOX else usage_of_group(pid)

    def command(self, run: _Run) -> list[str]:
        """Return the command that starts a program in this form of isolation."""
        return self._sandboxed(run) if self.isolation is Isolation.SANDBOX else self._launched(run)

    def _sandboxed(self, run: _Run) -> list[str]:
        sight = [word for path in self._readable(run) for word in (*_parents(path), "--ro-bind-try", path, path)]
        nodes = [word for node in run.devices.nodes for word in ("--dev-bind", str(node), str(node))]
        work = (*_parents(str(run.folder)), "--bind", str(run.folder), str(run.folder)) if run.folder else ()
        limits = [f"--{name.lower()}={soft}:{hard}" for name, (soft, hard) in run.resource_limits.items()]
        return [
            *("/bin/sh", "-c", _ENTER, str(run.group.folder) if run.group else ""),
            *("bwrap", "--die-with-parent", *self._namespaces()),
            *("--proc", "/proc", "--dev", "/dev", *sight, *nodes, *work),
            *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", str(run.folder or "/")),
            *("--seccomp", str(run.filter_fd), "--"),
            *("prlimit", *limits, "--", *self._become(run), *run.argv),
        ]

    def _namespaces(self) -> list[str]:
        """Return bubblewrap's options. Root needs no user namespace, and keeps what changing its user takes."""
        if not self._root:
            return ["--unshare-all"]
        kinds = ("ipc", "pid", "net", "uts", "cgroup-try")
        capabilities = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
        unshared = [f"--unshare-{kind}" for kind in kinds]
        return [*unshared, "--cap-drop", "ALL", *(word for name in capabilities for word in ("--cap-add", name))]

    def _become(self, run: _Run) -> list[str]:
        if not self._root:
            return []
        groups = ",".join(map(str, run.devices.groups))
        user = str(slot_user())
        return [
            *("setpriv", f"--reuid={user}", f"--regid={user}", f"--groups={groups}" if groups else "--clear-groups"),
            *("--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--"),
        ]

    def _launched(self, run: _Run) -> list[str]:
        options = [f"parent={os.getpid()}"]
        options += [f"limit={name}:{soft}:{hard}" for name, (soft, hard) in self._launched_limits(run).items()]
        if run.group:
            options.append(f"cgroup={run.group.folder}")
        if self.isolation is Isolation.UID:
            options += [f"user={slot_user()}", "groups=" + ",".join(map(str, run.devices.groups))]
        if self.filters:
            written = (*_DEVICES, *map(str, run.devices.nodes))
            options += [f"filter={run.filter_fd}", "confine=1", "read=/proc"]
            options += [f"read={path}" for path in (*_READ_ONLY_DEVICES, *self._readable(run))]
            options += [f"write={path}" for path in written]
            options += [f"folder={run.folder}"] if run.folder else []
        return [sys.executable, "-I", "-S", str(_LAUNCHER), *options, "--", *run.argv]

    def _launched_limits(self, run: _Run) -> dict[str, tuple[int, int]]:
        """Return the limits. That of processes counts all of a user's, so it is for users of their own only."""
        limits = run.resource_limits
        if not self.own_user:
            del limits["NPROC"]
        if not self.filters:
            limits["FSIZE"] = (run.limits.file_bytes,) * 2
        return limits

    def _readable(self, run: _Run) -> Iterator[str]:
        """Yield the paths that a run may read."""
        yield from _RUNTIME
        yield _DEVICE_FACTS if run.devices.nodes else _CPU_FACTS
        yield from self._libraries
        yield run.program
        yield from map(str, (*run.readable, *run.inputs))


def _parents(path: str) -> Iterator[str]:
    """Yield bubblewrap's options for the folders above a path: those that it makes by itself are closed to others."""
    for parent in reversed(Path(path).parents[:-1]):
        yield from ("--dir", str(parent))


def slot_user() -> int:
    """Return the number of the user and group that programs of this worker process run as.

    No two processes of a host name have the same. Containers of one machine have pids of their own, which repeat: their
    numbers begin where a hash of the host name says, so that two with the same are unlikely, but not impossible.
    """
    own = os.getpid() + crc32(socket.gethostname().encode())
    number = _FIRST_USER + own % _USERS
    return number if _has_user(number) else _FIRST_USER_OF_FEW + own % _FEW_USERS


def _has_user(number: int) -> bool:
    """Tell whether the user namespace of this process has a user of this number."""
    spans = (line.split() for line in Path("/proc/self/uid_map").read_text().splitlines())
    return any(int(first) <= number < int(first) + int(length) for first, _, length in spans)


@contextmanager
def _memory_file(content: bytes) -> Iterator[int]:
    """Yield a descriptor to read these bytes from."""
    descriptor = os.memfd_create("jail")
    try:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
