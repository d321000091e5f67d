"""Long-lived local processes that outlive their starter and are found again by their identity.

    start(argv, …) → Identity        stored by the caller, for instance in a file
    alive(identity), stop(identity)  later, from any process

The kernel reuses pids, so an identity is a pid and the process's start time.
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
PRIVATE_UMASK = 0o077
"""Nobody but their user reads what the processes write: keys, the database, logs, other people's videos."""
KILL_SECONDS = 10.0
"""Time that killed processes get to end: an uninterruptible system call may delay it."""

_children: dict[Identity, subprocess.Popen[bytes]] = {}  # kept to reap them


class DaemonError(Exception):
    """A process did not start, become ready or end; the message quotes its log."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Identity of a process that survives reuse of its pid."""

    pid: int
    started: int
    """Start time in kernel ticks since boot."""


@dataclass(frozen=True, slots=True)
class _Stat:
    """Fields of /proc/PID/stat."""

    pid: int
    state: str
    session: int
    started: int


def start(argv: Sequence[str], *, log: Path, environ: Mapping[str, str], folder: Path) -> Identity:
    """Start a process in a session of its own and append its output to `log`. Raises DaemonError.

    Log and files of the process are private to its user.
    """
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(log, "ab", opener=_private) as output:
        try:
            process = subprocess.Popen(  # noqa: S603 - an argument list, made by our own code
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environ),
                cwd=folder,
                start_new_session=True,
                umask=PRIVATE_UMASK,
            )
        except OSError as error:
            raise DaemonError(f"cannot start {argv[0]}: {error.strerror}") from error
    stat = _stat(process.pid)
    if stat is None:  # impossible: only this process can reap it
        raise DaemonError(f"{argv[0]} vanished")
    identity = Identity(process.pid, stat.started)
    _children[identity] = process
    return identity


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def alive(identity: Identity) -> bool:
    """Return True while the process runs. Zombies do not count."""
    stat = _stat(identity.pid)
    return stat is not None and stat.started == identity.started and stat.state not in "ZX"


def stop(identity: Identity, *, stop_signal: signal.Signals = signal.SIGTERM, grace_seconds: float = 10.0) -> None:
    """Send `stop_signal`, kill the process after `grace_seconds`, then kill the rest of its session.

    Stopping an ended process does nothing. Raises DaemonError when something survives SIGKILL.
    """
    if alive(identity):
        with suppress(ProcessLookupError):
            os.kill(identity.pid, stop_signal)
        poll_until(lambda: not alive(identity), grace_seconds)
    if not poll_until(lambda: not _kill_session(identity), KILL_SECONDS):
        raise DaemonError(f"process {identity.pid} survived SIGKILL")
    if identity in _children:
        _children.pop(identity).wait()


def wait_until(
    ready: Callable[[], bool], *, what: str, identity: Identity, log: Path, timeout_seconds: float = 30.0
) -> None:
    """Wait for `ready`. Raises DaemonError with the tail of the log when the process dies or the time is over."""
    if poll_until(lambda: not alive(identity) or ready(), timeout_seconds) and alive(identity):
        return
    outcome = f"was not ready after {timeout_seconds:g} s" if alive(identity) else "ended at once"
    raise DaemonError(f"{what} {outcome}; the end of {log}:\n{log_tail(log)}")


def poll_until(done: Callable[[], bool], seconds: float) -> bool:
    """Poll `done` every 50 ms. Returns False when it is still false after `seconds`."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def run(argv: Sequence[str], *, environ: Mapping[str, str], folder: Path, timeout_seconds: float = 120.0) -> str:
    """Run a short-lived tool and return its standard output. Raises DaemonError with all its output if it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - an argument list, made by our own code
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,  # each apart: warnings are no part of a result
            env=dict(environ),
            cwd=folder,
            timeout=timeout_seconds,
            check=False,
            umask=PRIVATE_UMASK,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DaemonError(f"{argv[0]}: {error}") from error
    if done.returncode:
        output = (done.stdout + done.stderr).decode(errors="replace")
        raise DaemonError(f"{' '.join(argv)} failed with code {done.returncode}:\n{output}")
    return done.stdout.decode(errors="replace")


def log_tail(log: Path) -> str:
    """Return the last `LOG_TAIL_LINES` lines of a log, indented, from at most its last `LOG_TAIL_BYTES`."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError as error:
        return f"  ({error.strerror})"
    return "\n".join(f"  {line}" for line in lines[-LOG_TAIL_LINES:]) or "  (empty)"


def _kill_session(identity: Identity) -> bool:
    """Kill the remaining processes of the session that the process leads. Returns False when there are none.

    The kernel does not reuse a pid while a session has that number, so after the leader's end only its own
    descendants carry it.
    """
    leader = _stat(identity.pid)
    if leader is not None and leader.started != identity.started:
        return False
    remaining = [each.pid for each in _all_stats() if each.session == identity.pid and each.state not in "ZX"]
    for pid in remaining:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(remaining)


def _all_stats() -> Iterator[_Stat]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            yield stat


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name may contain spaces and brackets; field 3 of proc(5) follows its last bracket.
    fields = text.rpartition(")")[2].split()
    return _Stat(pid=pid, state=fields[0], session=int(fields[3]), started=int(fields[19]))
