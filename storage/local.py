"""Object store in a folder, for a single machine without an S3 server."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import md5
from itertools import groupby
from pathlib import Path
from typing import IO
from uuid import uuid4

from storage.errors import (
    ObjectChanged,
    ObjectNotFound,
    RangeNotAvailable,
    StorageError,
    StorageUnavailable,
    UploadNotFound,
    not_deleted,
)
from storage.keys import check_key, check_prefix
from storage.protocol import Bytes, MultipartUpload, ObjectStore, Progress, StoredObject, StoredPart
from storage.transfer import TransferProgress

BLOCK_BYTES = 1024 * 1024
_RENAME_ATTEMPTS = 5
"""Attempts of a rename: a concurrent delete of the folder's last object removes the folder."""


class LocalStore:
    """ObjectStore in a folder.

    `objects/` contains each object under its key, `incoming/` the files being written, `uploads/` the open multipart
    uploads. All three share a file system: a rename publishes an object atomically. Content types are not stored; only
    the API reads the objects, and it knows them.
    """

    def __init__(self, root: Path, *, part_bytes: int) -> None:
        self.part_bytes = part_bytes
        self._objects = root / "objects"
        self._incoming = root / "incoming"
        self._uploads = root / "uploads"

    def put(self, key: str, data: Bytes, content_type: str) -> StoredObject:  # noqa: ARG002 - see the class
        with _file_errors(check_key(key)), self._new_file() as file:
            file.write(data)
            return self._publish(file, key)

    def put_file(self, key: str, path: Path, content_type: str, on_bytes: Progress | None = None) -> StoredObject:  # noqa: ARG002
        check_key(key)
        with path.open("rb") as source, _file_errors(key), self._new_file() as file:
            _copy(source, file, TransferProgress(on_bytes))
            return self._publish(file, key)

    def get(self, key: str, start: int = 0, end: int | None = None, *, etag: str | None = None) -> bytes:
        return b"".join(self.open(key, start, end, etag=etag))

    def open(self, key: str, start: int = 0, end: int | None = None, *, etag: str | None = None) -> Iterator[bytes]:
        if start == end:
            return iter(())
        file = self.open_file(key)
        stored = _stored(key, os.fstat(file.fileno()))
        if etag is not None and stored.etag != etag:
            file.close()
            raise ObjectChanged(key)
        if start >= stored.size and start > 0:
            file.close()
            raise RangeNotAvailable(key)
        return _blocks(key, file, start, stored.size if end is None else min(end, stored.size))

    def fetch(self, key: str, path: Path, on_bytes: Progress | None = None) -> StoredObject:
        with self.open_file(key) as source, _removed_on_failure(path):
            stored = _stored(key, os.fstat(source.fileno()))
            with _file_errors(key), path.open("wb") as file:
                _copy(source, file, TransferProgress(on_bytes))
            self._check_unchanged(stored)
        return stored

    def _check_unchanged(self, stored: StoredObject) -> None:
        try:
            now = self.head(stored.key)
        except ObjectNotFound as error:
            raise ObjectChanged(stored.key) from error
        if now.etag != stored.etag:
            raise ObjectChanged(stored.key)

    def head(self, key: str) -> StoredObject:
        with _file_errors(key):
            return _stored(key, self._path(key).stat())

    def copies_from(self, source: ObjectStore) -> bool:
        return isinstance(source, LocalStore)

    def copy(
        self,
        source_key: str,
        key: str,
        *,
        source: ObjectStore | None = None,
        content_type: str | None = None,  # noqa: ARG002 - see the class
    ) -> StoredObject:
        """Link the file: objects are never changed, only replaced."""
        origin = self if source is None else source
        if not isinstance(origin, LocalStore):
            raise TypeError(f"{origin} is no folder")
        check_key(key)
        with origin.open_file(source_key) as original, _file_errors(key):
            self._incoming.mkdir(parents=True, exist_ok=True)
            linked = self._incoming / uuid4().hex
            try:
                linked.hardlink_to(original.name)
            except OSError:  # another file system, or one without links
                with self._new_file() as file:
                    _copy(original, file, TransferProgress(None))
                    return self._publish(file, key)
            try:
                self._move(linked, key)
            finally:
                linked.unlink(missing_ok=True)  # still there where both keys had the same file before
        return self.head(key)

    def delete(self, keys: Iterable[str]) -> None:
        errors = [error for error in map(self._delete, keys) if error is not None]
        if errors:
            raise not_deleted(errors)

    def _delete(self, key: str) -> StorageError | None:
        path = self._path(key)
        try:
            with _file_errors(key):
                path.unlink(missing_ok=True)
                self._remove_empty_folders(path)
        except StorageError as error:
            return error
        return None

    def delete_prefix(self, prefix: str) -> int:
        keys = [stored.key for stored in self.list(prefix)]
        self.delete(keys)
        return len(keys)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        check_prefix(prefix)
        top = self._objects / prefix.rpartition("/")[0]
        found = (Path(folder, name) for folder, _, names in os.walk(top) for name in names)
        keys = (path.relative_to(self._objects).as_posix() for path in found)
        for key in sorted((key for key in keys if key.startswith(prefix)), key=str.encode):
            with contextlib.suppress(ObjectNotFound):  # deleted in the meantime
                yield self.head(key)

    def list_folders(self, prefix: str) -> Iterator[str]:
        keys = (stored.key for stored in self.list(prefix))
        heads = (prefix + key.removeprefix(prefix).partition("/")[0] for key in keys if "/" in key.removeprefix(prefix))
        for head, _ in groupby(heads):
            yield f"{head}/"

    def create_multipart(self, key: str, content_type: str, *, part_bytes: int | None = None) -> str:  # noqa: ARG002 - see the class
        upload_id = uuid4().hex
        with _file_errors(check_key(key)):
            folder = self._uploads / upload_id
            folder.mkdir(parents=True)
            (folder / "data").touch()
            (folder / "part_bytes").write_text(str(part_bytes or self.part_bytes))
            (folder / "key").write_text(key)
        return upload_id

    def put_part(self, key: str, upload_id: str, number: int, data: Bytes) -> str:
        """Write the part at its offset in the object's file, so that completing it is a rename.

        It is recorded as soon as all of it is there. One that is replaced is missing meanwhile.
        """
        folder = self._upload(key, upload_id)
        etag = md5(data, usedforsecurity=False).hexdigest()  # like S3: the same bytes again change nothing
        try:
            with _file_errors(key), (folder / "data").open("r+b") as file:
                (folder / str(number)).unlink(missing_ok=True)
                file.seek((number - 1) * _part_bytes(folder))
                file.write(data)
                file.flush()
                record = folder / f"record-{uuid4().hex}"
                record.write_text(f"{etag} {len(data)}")
                record.rename(folder / str(number))
        except ObjectNotFound as error:  # aborted concurrently
            raise UploadNotFound(key) from error
        return etag

    def part_urls(self, key: str, upload_id: str, sizes: Mapping[int, int], expires_seconds: int) -> Mapping[int, str]:  # noqa: ARG002
        check_key(key)
        return {}

    def list_parts(self, key: str, upload_id: str) -> Iterator[StoredPart]:
        folder = self._upload(key, upload_id)
        for number in sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal()):
            with contextlib.suppress(FileNotFoundError):  # being replaced
                etag, length = (folder / str(number)).read_text().split()
                yield StoredPart(number, int(length), etag)

    def complete_multipart(self, key: str, upload_id: str, etags: Sequence[str]) -> StoredObject:
        try:
            folder = self._upload(key, upload_id)
            lengths = self._part_lengths(key, folder, etags)
            with _file_errors(key), (folder / "data").open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # or one who comes second would touch what is published by then
                if not (folder / "data").exists():
                    return self._already_completed(key, UploadNotFound(key))
                file.truncate(sum(lengths))
                stored = self._publish(file, key)
        except (UploadNotFound, ObjectNotFound) as error:  # the latter: it is being completed concurrently
            return self._already_completed(key, error)
        shutil.rmtree(folder, ignore_errors=True)
        return stored

    def abort_multipart(self, key: str, upload_id: str) -> None:
        with contextlib.suppress(UploadNotFound):
            shutil.rmtree(self._upload(key, upload_id), ignore_errors=True)

    def list_multiparts(self, prefix: str) -> Iterator[MultipartUpload]:
        check_prefix(prefix)
        for marker in self._uploads.glob("*/key"):
            with contextlib.suppress(FileNotFoundError):  # completed or aborted in the meantime
                key = marker.read_text()
                if key.startswith(prefix):
                    yield MultipartUpload(key, marker.parent.name, datetime.fromtimestamp(marker.stat().st_mtime, UTC))

    def url(
        self,
        key: str,
        expires_seconds: int,  # noqa: ARG002 - the API serves the bytes
        content_type: str | None = None,  # noqa: ARG002
        cache_control: str | None = None,  # noqa: ARG002
    ) -> str | None:
        check_key(key)
        return None

    def prepare(self) -> None:
        with _file_errors(""):
            for folder in (self._objects, self._incoming, self._uploads):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _path(self, key: str) -> Path:
        return self._objects / check_key(key)

    def open_file(self, key: str) -> IO[bytes]:
        """Open an object. Raises ObjectNotFound."""
        path = self._path(key)
        with _file_errors(key):
            return path.open("rb")

    @contextlib.contextmanager
    def _new_file(self) -> Iterator[IO[bytes]]:
        self._incoming.mkdir(parents=True, exist_ok=True)
        path = self._incoming / uuid4().hex
        with _removed_on_failure(path), path.open("xb") as file:
            yield file

    def _publish(self, file: IO[bytes], key: str) -> StoredObject:
        """Sync a written file to disk and rename it to its key: rows must not name bytes that a crash lost."""
        file.flush()
        os.fsync(file.fileno())
        self._move(Path(file.name), key)
        return _stored(key, os.fstat(file.fileno()))

    def _move(self, path: Path, key: str) -> None:
        target = self._path(key)
        for retries_left in reversed(range(_RENAME_ATTEMPTS)):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                path.rename(target)
                break
            except FileNotFoundError:
                if not retries_left:
                    raise

    def _remove_empty_folders(self, path: Path) -> None:
        with contextlib.suppress(OSError):  # not empty, or removed concurrently
            for folder in path.parents:
                if folder == self._objects:
                    return
                folder.rmdir()

    def _already_completed(self, key: str, error: UploadNotFound | ObjectNotFound) -> StoredObject:
        """Return the object of an upload that was completed before. Keys are never reused."""
        try:
            return self.head(key)
        except ObjectNotFound:
            raise (error if isinstance(error, UploadNotFound) else UploadNotFound(key)) from None

    def _upload(self, key: str, upload_id: str) -> Path:
        folder = self._uploads / check_key(upload_id)
        try:
            if (folder / "key").read_text() == key:
                return folder
        except OSError as error:
            raise UploadNotFound(key) from error
        raise UploadNotFound(key)

    def _part_lengths(self, key: str, folder: Path, etags: Sequence[str]) -> Sequence[int]:
        lengths = [self._part_length(key, folder, number, etag) for number, etag in enumerate(etags, start=1)]
        part_bytes = _part_bytes(folder)
        if any(length != part_bytes for length in lengths[:-1]):
            raise UploadNotFound(key, f"a part before the last is not {part_bytes} bytes long")
        return lengths

    def _part_length(self, key: str, folder: Path, number: int, etag: str) -> int:
        try:
            stored_etag, length = (folder / str(number)).read_text().split()
        except FileNotFoundError as error:
            raise UploadNotFound(key, f"no part {number}") from error
        if stored_etag != etag:
            raise UploadNotFound(key, f"part {number} has another etag")
        return int(length)


def _part_bytes(folder: Path) -> int:
    with _file_errors(folder.name):  # it may be removed concurrently
        return int((folder / "part_bytes").read_text())


@contextlib.contextmanager
def _file_errors(key: str) -> Iterator[None]:
    """Translate errors of the file system."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise ObjectNotFound(key) from error
    except OSError as error:
        raise StorageUnavailable(key, str(error)) from error


@contextlib.contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _stored(key: str, stat: os.stat_result) -> StoredObject:
    """Build the etag of mtime, inode and size: every write creates a new file."""
    return StoredObject(key, stat.st_size, f"{stat.st_mtime_ns:x}-{stat.st_ino:x}-{stat.st_size:x}")


def _copy(source: IO[bytes], target: IO[bytes], progress: TransferProgress) -> None:
    while block := source.read(BLOCK_BYTES):
        target.write(block)
        progress.add(len(block))


def _blocks(key: str, file: IO[bytes], start: int, end: int) -> Iterator[bytes]:
    with file, _file_errors(key):
        file.seek(start)
        while start < end and (block := file.read(min(BLOCK_BYTES, end - start))):
            start += len(block)
            yield block
