"""Watching what a running program uses: it is killed when it uses more than it may."""

import logging
import os
import stat
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from configuration import ExecutionConfig
from execution.cgroups import Group
from execution.process import descendant_pids

log = logging.getLogger(__name__)

SAMPLE_SECONDS = 0.2
_UNMEASURED = "resources that cannot be measured"
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MAX_PROCESSES = 512
_MAX_PROCESSES_PER_CORE = 32
"""Threads that the encoders, decoders and filters of a ladder start on each core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one run. A program that exceeds them is killed, or its system calls fail."""

    memory_bytes: int
    """Memory that all its processes occupy."""
    address_bytes: int = 0
    """Address space of each process, which is more than it occupies; 0: any."""
    data_bytes: int = 0
    """Heap, stacks and other private memory of each process, whether used or only allocated; 0: any."""
    file_bytes: int
    """Size of any file that it writes."""
    output_bytes: int
    """Size of all files in its folder."""
    cpu_seconds: int
    """CPU time of each process; 0: any."""
    processes: int
    """Processes and threads."""


def run_limits(
    config: ExecutionConfig, *, memory_bytes: int, address_bytes: int = 0, output_bytes: int | None = None
) -> Limits:
    """Return the limits of a run: those of the installation, and its own of memory and output."""
    cores = len(os.sched_getaffinity(0))
    return Limits(
        memory_bytes=memory_bytes,
        address_bytes=address_bytes,
        file_bytes=config.max_output_bytes,
        output_bytes=min(config.max_output_bytes, output_bytes or config.max_output_bytes),
        cpu_seconds=config.max_cpu_seconds,
        processes=_MAX_PROCESSES + _MAX_PROCESSES_PER_CORE * cores,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Resources that the processes of a run use now."""

    memory_bytes: int = 0
    tasks: int = 0
    """Processes and threads."""


class Guard:
    """Thread that samples a run until `close`, and calls `kill` at the first excess. `exceeded` then says which.

    A run that cannot be measured counts as an excess: it would have no limits.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        usage: Callable[[], Usage],
        kill: Callable[[], None],
        folder: Path | None = None,
        group: Group | None = None,
    ) -> None:
        self._limits = limits
        self._usage = usage
        self._kill = kill
        self._folder = folder
        self._group = group
        self._over = threading.Event()
        self.exceeded = ""
        self._thread = threading.Thread(target=self._watch, name="guard", daemon=True)

    def start(self) -> None:
        """Start to watch."""
        self._thread.start()

    def close(self) -> None:
        """Stop watching, after a last look at what the ended run has left: it may have been faster than the samples."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.exceeded = self.exceeded or self._checked(Usage)

    def _watch(self) -> None:
        while not self.exceeded and not self._over.wait(SAMPLE_SECONDS):
            self._look()

    def _look(self) -> None:
        if excess := self._checked(self._usage):
            self.exceeded = excess
            self._kill()

    def _checked(self, usage: Callable[[], Usage]) -> str:
        try:
            return self._excess(usage())
        except Exception:
            log.warning("a run cannot be measured", extra={"event": "run_unmeasured"}, exc_info=True)
            return _UNMEASURED

    def _excess(self, usage: Usage) -> str:
        """Describe the limit that is exceeded; empty: none is."""
        limits, group = self._limits, self._group
        if usage.memory_bytes > limits.memory_bytes or (group and group.killed()):
            return f"more than {limits.memory_bytes >> 20} MiB of memory"
        if usage.tasks >= limits.processes or (group and group.refused_processes()):
            return f"more than {limits.processes} processes and threads"
        if self._folder and folder_bytes(self._folder) > limits.output_bytes:
            return f"more than {limits.output_bytes >> 20} MiB of output"
        return ""


def usage_of_tree(root: int) -> Usage:
    """Add up what a process and all that descend from it use."""
    return _total([root, *descendant_pids(root)])


def usage_of_group(group: int) -> Usage:
    """Add up what the processes of a process group use: also of those whose parent has ended."""
    numbers = (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - every 0.2 s
    return _total(pid for pid in numbers if _group_of(pid) == group)


def folder_bytes(folder: Path) -> int:
    """Add up the space that regular files under a folder take. What vanishes meanwhile does not count.

    Raises OSError when a folder cannot be read, and RecursionError when folders are nested too deeply.
    """
    found = 0
    for parent, _, names in os.walk(folder, onerror=_refuse_unread):
        for name in names:
            try:
                status = os.lstat(os.path.join(parent, name))  # noqa: PTH118 - every 0.2 s
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode):
                found += status.st_size
    return found


def _refuse_unread(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _total(pids: Iterable[int]) -> Usage:
    memory = tasks = 0
    for pid in pids:
        fields = _stat(pid)
        if fields:
            tasks += int(fields[_THREADS])
            memory += int(fields[_RESIDENT]) * _PAGE_BYTES
    return Usage(memory_bytes=memory, tasks=tasks)


_GROUP, _THREADS, _RESIDENT = 2, 17, 21
"""Places of fields of /proc/PID/stat behind the name of the program: numbers 5, 20 and 24 in proc(5)."""


def _stat(pid: int) -> list[str]:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - every 0.2 s
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return []


def _group_of(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[_GROUP]) if fields else 0
