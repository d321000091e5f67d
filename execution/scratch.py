"""The scratch folder: temporary files, and the liveness files that local probes read."""

import logging
import os
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from configuration import ExecutionConfig
from execution.file_locks import LockKind, file_lock

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.05
_SAID_CHARS = 300


def scratch_folder(config: ExecutionConfig) -> Path:
    """Return the configured folder, or create a private one in the system's temporary folder.

    Raises PermissionError when that name is taken by somebody else.
    """
    if config.scratch_path:  # not checked: volumes have owners of their own
        return Path(config.scratch_path)
    return private_folder(Path(tempfile.gettempdir(), "vodmill"))


def liveness_folder(config: ExecutionConfig) -> Path:
    """Return the folder of the liveness files of this machine's processes."""
    return scratch_folder(config) / "alive"


def steps_folder(config: ExecutionConfig) -> Path:
    """Return the folder in which each worker process of this host has its temporary files, in one named by its pid.

    Containers, each with a host name and pids of its own, may share the scratch folder.
    """
    return _steps(config) / socket.gethostname()


def steps_hold(config: ExecutionConfig) -> IO[str]:
    """Say that a worker runs on this host, until the returned file is closed. Clear what dead workers left.

    That is everything of hosts of which no worker runs, and what is named by pids of this host that are gone.
    """
    folder = steps_folder(config)
    private_folder(folder.parent)
    private_folder(folder)
    while (held := file_lock(_lock_of(folder), LockKind.SHARED)) is None:  # it is just being cleared by another host
        time.sleep(_POLL_SECONDS)
    _clear_hosts(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    for left in folder.iterdir():
        if not _is_process(left.name):
            remove_folder(left)
    return held


@contextmanager
def temporary_folder(scratch: str | Path | None, prefix: str) -> Iterator[Path]:
    """Make a folder that is gone afterwards, however the step ends short of a kill."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=scratch))
    try:
        yield folder
    finally:
        remove_folder(folder)


def remove_folder(folder: Path) -> None:
    """Remove a folder, however deeply nested. What cannot be removed is logged, and stays."""
    with suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        return
    rest = subprocess.run(["rm", "-rf", "--", folder], check=False, capture_output=True)  # noqa: S603, S607 - ours
    if rest.returncode:
        detail = rest.stderr.decode(errors="replace")[-_SAID_CHARS:]
        log.warning("a folder cannot be removed", extra={"event": "folder_left", "path": str(folder), "detail": detail})


def _clear_hosts(folder: Path) -> None:
    for host in (entry for entry in folder.iterdir() if entry.is_dir() and not _is_process(entry.name)):
        if lock := file_lock(_lock_of(host), LockKind.EXCLUSIVE):
            with lock:
                remove_folder(host)
                _lock_of(host).unlink()


def _is_process(name: str) -> bool:
    """Tell whether a folder is named by a process that runs; such folders were not sorted by hosts before."""
    return name.isdigit() and Path("/proc", name).exists()


def _lock_of(host: Path) -> Path:
    return host.with_name(f"{host.name}.lock")


def _steps(config: ExecutionConfig) -> Path:
    return scratch_folder(config) / "steps"


def private_folder(path: Path) -> Path:
    """Create a folder with mode 0700. Raises PermissionError when it is a link or belongs to another user.

    In the system's temporary folder anybody can create a folder, or a link to one, of that name first.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(
            f"{path} is a link or belongs to somebody else; set TRANSCODER_SCRATCH_PATH to another folder"
        )
    path.chmod(0o700)
    return path
