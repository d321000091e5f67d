"""Cache of whole sources on a node: fetched once, shared by its processes, bounded in bytes."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from execution.file_locks import LockKind, file_lock
from storage.errors import ObjectChanged, ObjectNotFound
from storage.protocol import ObjectStore
from transcoding.errors import InputChanged

_LOCK_SUFFIX = ".lock"
_PARTIAL_SUFFIX = ".partial"
_POLL_SECONDS = 0.05


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


class SourceCache:
    """A folder of whole source files, at most `max_bytes` together; the least recently used are removed first."""

    def __init__(
        self, store: ObjectStore, folder: Path, *, max_bytes: int, free_bytes: Callable[[Path], int] = _free_bytes
    ) -> None:
        self._free_bytes = free_bytes
        self._store = store
        self._folder = folder
        self._max_bytes = max_bytes

    def holds(self, key: str, *, etag: str) -> bool:
        """Tell whether a copy is there, so that opening it costs nothing."""
        return self._path(key, etag).exists()

    @contextmanager
    def open(self, key: str, *, etag: str, moved: Callable[[int], None]) -> Iterator[Path]:
        """Yield the path of a local copy, which stays until the context ends.

        `moved` is called with the length of every block that is fetched. An empty etag accepts any object. Raises
        InputChanged when the object is gone or another one.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)  # the files in it become readable for whom they are handed to
        path = self._path(key, etag)
        with self._locked_copy(key, etag, path, moved):
            os.utime(path)
            yield path

    def _locked_copy(self, key: str, etag: str, path: Path, moved: Callable[[int], None]) -> IO[str]:
        """Fetch the copy unless it is there, and return its lock, which other readers may share."""
        while True:
            if lock := file_lock(_lock_of(path), LockKind.SHARED):
                if path.exists():
                    return lock
                lock.close()
            if lock := file_lock(_lock_of(path), LockKind.EXCLUSIVE):
                with lock:
                    self._fetch_once(key, etag, path, moved)
            else:  # another process is fetching it
                time.sleep(_POLL_SECONDS)
            moved(0)

    def _fetch_once(self, key: str, etag: str, path: Path, moved: Callable[[int], None]) -> None:
        if path.exists():
            return
        try:
            self._fetch(key, etag, path, moved)
        except BaseException:
            _lock_of(path).unlink()
            raise

    def _path(self, key: str, etag: str) -> Path:
        return self._folder / hashlib.sha256(f"{key}\n{etag}".encode()).hexdigest()

    def _fetch(self, key: str, etag: str, path: Path, moved: Callable[[int], None]) -> None:
        partial = path.with_suffix(_PARTIAL_SUFFIX)
        try:
            self._make_room(self._store.head(key).size)
            stored = self._store.fetch(key, partial, moved)
            if etag and stored.etag != etag:
                raise InputChanged(f"{key} is no longer the object that was inspected")
            partial.rename(path)
        except (ObjectChanged, ObjectNotFound) as error:
            raise InputChanged(str(error)) from error
        finally:
            partial.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        """Remove what killed processes left, and unused copies, oldest first, until `size` more bytes fit.

        They must fit within `max_bytes` and on the disk. Copies in use stay: if the space is still too small, writing
        the new copy fails.
        """
        for left in (*self._folder.glob(f"*{_PARTIAL_SUFFIX}"), *self._folder.glob(f"*{_LOCK_SUFFIX}")):
            if not left.with_suffix("").exists():
                _remove_unused(left)
        copies = [path for path in self._folder.iterdir() if path.suffix == ""]
        held = {path: path.stat() for path in copies}
        total = size + sum(entry.st_size for entry in held.values())
        for path in sorted(held, key=lambda copy: held[copy].st_mtime):
            if total <= self._max_bytes and size <= self._free_bytes(self._folder):
                return
            if _remove_unused(path):
                total -= held[path].st_size


def _lock_of(path: Path) -> Path:
    return path.with_suffix(_LOCK_SUFFIX)


def _remove_unused(path: Path) -> bool:
    """Delete a file and its lock, unless a process holds that."""
    if (lock := file_lock(_lock_of(path), LockKind.EXCLUSIVE)) is None:
        return False
    with lock:
        path.unlink(missing_ok=True)
        _lock_of(path).unlink(missing_ok=True)
    return True
