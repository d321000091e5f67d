"""Long-lived local processes that outlive whoever starts them and are found again by their identity.

    start(argv, …) → Identity        kept by the caller, in a file for instance
    alive(identity), stop(identity)  later, from any other process

A pid alone is no identity, since the kernel gives it away again: the kernel's start time makes it one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LOG_TAIL_LINES = 20
LOG_TAIL_BYTES = 16 * 1024
POLL_SECONDS = 0.05
KILL_SECONDS = 10.0  # how long the kernel may take to bury what was killed

_children: dict[Identity, subprocess.Popen[bytes]] = {}  # ours to reap while we live; nobody else can


class DaemonError(Exception):
    """A long-lived process did not start, did not become ready or did not end; the text quotes its log."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, and no other that may get its pid later. `started` is in kernel ticks since boot."""

    pid: int
    started: int


@dataclass(frozen=True, slots=True)
class _Stat:
    """What /proc/PID/stat says, as far as we need it."""

    pid: int
    state: str
    session: int
    started: int


def start(argv: Sequence[str], *, log: Path, environ: Mapping[str, str], folder: Path) -> Identity:
    """Start a process in a session of its own; its output is appended to `log`. Raises DaemonError."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(  # noqa: S603 - an argument list, made by our own code
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environ),
                cwd=folder,
                start_new_session=True,
            )
        except OSError as error:
            raise DaemonError(f"cannot start {argv[0]}: {error.strerror}") from error
    stat = _stat(process.pid)
    if stat is None:  # cannot be: nobody but us reaps it
        raise DaemonError(f"{argv[0]} vanished")
    identity = Identity(process.pid, stat.started)
    _children[identity] = process
    return identity


def alive(identity: Identity) -> bool:
    """Whether this very process still runs. A zombie does not."""
    stat = _stat(identity.pid)
    return stat is not None and stat.started == identity.started and stat.state not in "ZX"


def stop(identity: Identity, *, polite: signal.Signals = signal.SIGTERM, grace_seconds: float = 10.0) -> None:
    """End a process: politely, after the grace by force, and whatever it leaves behind in its session by force.

    Ending one that is gone already is no error. Raises DaemonError when something survives.
    """
    if alive(identity):
        with suppress(ProcessLookupError):
            os.kill(identity.pid, polite)
        until(lambda: not alive(identity), grace_seconds)
    if not until(lambda: not _kill_session(identity), KILL_SECONDS):
        raise DaemonError(f"process {identity.pid} does not end, not even by force")
    if identity in _children:
        _children.pop(identity).wait()


def wait_until(
    ready: Callable[[], bool], *, what: str, identity: Identity, log: Path, timeout_seconds: float = 30.0
) -> None:
    """Wait for `ready`. Raises DaemonError, with the end of the log, when the process dies or the time is over."""
    if until(lambda: not alive(identity) or ready(), timeout_seconds) and alive(identity):
        return
    fate = f"was not ready after {timeout_seconds:g} s" if alive(identity) else "ended at once"
    raise DaemonError(f"{what} {fate}; the end of {log}:\n{log_tail(log)}")


def until(done: Callable[[], bool], seconds: float) -> bool:
    """Ask again and again; False when the answer is still no after that time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def run(argv: Sequence[str], *, environ: Mapping[str, str], folder: Path, timeout_seconds: float = 120.0) -> str:
    """Run a short-lived tool to its end and return what it printed. Raises DaemonError with that when it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - an argument list, made by our own code
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environ),
            cwd=folder,
            timeout=timeout_seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DaemonError(f"{argv[0]}: {error}") from error
    text = done.stdout.decode(errors="replace")
    if done.returncode:
        raise DaemonError(f"{' '.join(argv)} failed with code {done.returncode}:\n{text}")
    return text


def log_tail(log: Path) -> str:
    """The last lines of a log, indented; never more than a few kilobytes are read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError as error:
        return f"  ({error.strerror})"
    return "\n".join(f"  {line}" for line in lines[-LOG_TAIL_LINES:]) or "  (nothing)"


def _kill_session(identity: Identity) -> bool:
    """Kill what still lives of the session that this process leads; False when nothing does.

    The kernel does not reuse a pid while a session has that number, so once the leader is gone its number on a
    living process can only mean its own children.
    """
    leader = _stat(identity.pid)
    if leader is not None and leader.started != identity.started:
        return False
    left = [each.pid for each in _all_stats() if each.session == identity.pid and each.state not in "ZX"]
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(left)


def _all_stats() -> Iterator[_Stat]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            yield stat


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name may hold spaces and brackets; what follows its last bracket starts with field 3 of proc(5).
    fields = text.rpartition(")")[2].split()
    return _Stat(pid=pid, state=fields[0], session=int(fields[3]), started=int(fields[19]))
