"""Control groups of version 2 that were delegated to this process: the exact limit of memory, where there are any."""

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_WORKER = "worker"
"""Group that this process moves to: the kernel lets no group have both processes and controlled groups in it."""
_CONTROLLERS = frozenset({"memory", "pids"})


@dataclass(frozen=True, slots=True)
class Group:
    """The control group of one run."""

    folder: Path

    def killed(self) -> bool:
        """Tell whether the kernel killed something in it for memory."""
        return _counter(self.folder / "memory.events", "oom_kill") > 0

    def refused_processes(self) -> bool:
        """Tell whether a process or thread could not be started in it."""
        return _counter(self.folder / "pids.events", "max") > 0

    def remove(self) -> None:
        """Kill what is left in it, and remove it."""
        with suppress(OSError):
            (self.folder / "cgroup.kill").write_text("1")
        with suppress(OSError):
            self.folder.rmdir()


@dataclass(frozen=True, slots=True)
class Delegation:
    """A control group in which this process may make others."""

    folder: Path

    def group(self, name: str, *, memory_bytes: int, processes: int) -> Group:
        """Create the group of one run. When it runs out of memory, all of it is killed."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        limits = {"memory.max": memory_bytes, "memory.swap.max": 0, "memory.oom.group": 1, "pids.max": processes}
        for file, value in limits.items():
            if (folder / file).exists() or file == "memory.max":  # kernels without swap lack its limit
                (folder / file).write_text(str(value))
        return Group(folder)


@cache
def delegated() -> Delegation | None:
    """Return the delegated group of this process; None: there is none. It is looked for once."""
    return find_delegation(root=ROOT, own=_OWN)


def find_delegation(*, root: Path, own: Path) -> Delegation | None:
    """Look for a writable group of version 2 with both controllers, and make it ready for groups of runs.

    `own` is this process's /proc/self/cgroup. The process moves to a group inside, unless its parent has done so.
    """
    try:
        lines = own.read_text().splitlines()
        name = next(line.removeprefix("0::") for line in lines if line.startswith("0::"))
        folder = root / name.lstrip("/")
        if folder.name == _WORKER:  # a child of the process that has moved there
            folder = folder.parent
        elif not set((folder / "cgroup.controllers").read_text().split()) >= _CONTROLLERS:
            return None
        else:
            worker = folder / _WORKER
            worker.mkdir(exist_ok=True)
            (worker / "cgroup.procs").write_text(str(os.getpid()))
        (folder / "cgroup.subtree_control").write_text("+memory +pids")
    except (OSError, StopIteration):
        return None
    return Delegation(folder)


def _counter(file: Path, name: str) -> int:
    """Return a number of a file of names and numbers; 0 when it is not there."""
    try:
        words = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return 0
    return next((int(value) for key, value in words if key == name), 0)
