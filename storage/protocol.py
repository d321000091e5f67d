"""The interface of object stores."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

Bytes = bytes | bytearray | memoryview
Progress = Callable[[int], None]
"""Callback with the number of bytes transferred since its last call.

Transfer threads call it, one at a time. An exception in it aborts the transfer.
"""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in the store."""

    key: str
    size: int
    """In bytes."""
    etag: str
    """Identifies the content; without the quotes of the header."""


@dataclass(frozen=True, slots=True)
class MultipartUpload:
    """An open multipart upload: neither completed nor aborted."""

    key: str
    upload_id: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part of an open multipart upload."""

    number: int
    """From 1."""
    size: int
    """In bytes."""
    etag: str


class ObjectStore(Protocol):
    """Store of bytes under keys. All methods are thread-safe.

    Ranges are like slices: `start` is the first byte, `end` one past the last. All methods raise InvalidKey for a key
    that `storage.keys.check_key` refuses, and StorageUnavailable or StorageRefused when the store itself fails.
    """

    @property
    def part_bytes(self) -> int:
        """Size in bytes of every part of a multipart upload except the last, unless another one was chosen for it."""
        ...

    def put(self, key: str, data: Bytes, content_type: str) -> StoredObject:
        """Store a small object in one request. Replaces an object of that key."""
        ...

    def put_file(self, key: str, path: Path, content_type: str, on_bytes: Progress | None = None) -> StoredObject:
        """Store a file, in parallel parts when it is larger than `part_bytes`. Parts that fail are sent again."""
        ...

    def get(self, key: str, start: int = 0, end: int | None = None, *, etag: str | None = None) -> bytes:
        """Read a small object, or a range of one.

        Raises:
            ObjectNotFound: no object has that key.
            RangeNotAvailable: `start` is not 0 and past the end of the object.
            ObjectChanged: `etag` was passed, and the object has another one.

        """
        ...

    def open(self, key: str, start: int = 0, end: int | None = None, *, etag: str | None = None) -> Iterator[bytes]:
        """Read in blocks. Raises like `get`, in this call and not at the first block."""
        ...

    def fetch(self, key: str, path: Path, on_bytes: Progress | None = None) -> StoredObject:
        """Copy an object to a file, in parallel ranges when it is larger than `part_bytes`.

        Removes the file on failure. Raises ObjectNotFound, and ObjectChanged when the object was replaced or deleted
        during the transfer.
        """
        ...

    def head(self, key: str) -> StoredObject:
        """Return size and etag. Raises ObjectNotFound."""
        ...

    def copies_from(self, source: "ObjectStore") -> bool:
        """Tell whether `copy` can read another store: one on the same server, for the same credentials."""
        ...

    def copy(
        self, source_key: str, key: str, *, source: "ObjectStore | None" = None, content_type: str | None = None
    ) -> StoredObject:
        """Copy an object inside the server, of this store or of a `source` that it `copies_from`.

        `content_type` replaces that of the original; with `source_key` for `key`, it changes that of the object. Raises
        ObjectNotFound, and ObjectChanged when the original is replaced or deleted meanwhile.
        """
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Delete any number of objects. Missing ones are ignored.

        The error for objects that could not be deleted has their keys in `keys`; the others are deleted.
        """
        ...

    def delete_prefix(self, prefix: str) -> int:
        """Delete all objects whose keys begin with `prefix` and return their number."""
        ...

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """List the objects whose keys begin with `prefix`, in order of their keys' UTF-8 bytes."""
        ...

    def list_folders(self, prefix: str) -> Iterator[str]:
        """List the common prefixes of keys up to and including the next slash after `prefix`, in order."""
        ...

    def create_multipart(self, key: str, content_type: str, *, part_bytes: int | None = None) -> str:
        """Start a multipart upload and return its id. Its parts have `part_bytes`; None: those of the store."""
        ...

    def put_part(self, key: str, upload_id: str, number: int, data: Bytes) -> str:
        """Store part `number` (from 1, in any order) and return its etag. Raises UploadNotFound."""
        ...

    def part_urls(self, key: str, upload_id: str, sizes: Mapping[int, int], expires_seconds: int) -> Mapping[int, str]:
        """Return presigned URLs to which anybody can PUT parts, by their numbers, of exactly these sizes in bytes.

        Empty when the store has none: the API takes the bytes and calls `put_part`.
        """
        ...

    def list_parts(self, key: str, upload_id: str) -> Iterator[StoredPart]:
        """List the parts that are there, in order. Raises UploadNotFound, at the first of them."""
        ...

    def complete_multipart(self, key: str, upload_id: str, etags: Sequence[str]) -> StoredObject:
        """Join the parts 1 to len(etags) into the object. May be repeated. Raises UploadNotFound."""
        ...

    def abort_multipart(self, key: str, upload_id: str) -> None:
        """Delete a multipart upload and its parts. A missing upload is ignored."""
        ...

    def list_multiparts(self, prefix: str) -> Iterator[MultipartUpload]:
        """List the open multipart uploads whose keys begin with `prefix`."""
        ...

    def url(
        self, key: str, expires_seconds: int, content_type: str | None = None, cache_control: str | None = None
    ) -> str | None:
        """Return a presigned URL for reading the object, or None when the store has none and the API serves the bytes.

        `content_type` and `cache_control` override the stored ones.
        """
        ...

    def prepare(self) -> None:
        """Set up the store (a private bucket, CORS rules). May be repeated."""
        ...
