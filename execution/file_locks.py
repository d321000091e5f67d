"""Locks on files, held by processes of one machine, whatever containers they are in. They end with the process."""

import fcntl
import os
from enum import IntEnum
from pathlib import Path
from typing import IO


class LockKind(IntEnum):
    SHARED = fcntl.LOCK_SH
    EXCLUSIVE = fcntl.LOCK_EX


def file_lock(path: Path, kind: LockKind) -> IO[str] | None:
    """Lock a file, created if it is missing, until the returned one is closed. None: another process holds the lock.

    Whoever holds a lock exclusively may delete its file: who waited for that one locks the file that is there now.
    """
    while True:
        file = path.open("a")
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        if _is_at(file, path):
            return file
        file.close()


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(file.fileno()), found)
