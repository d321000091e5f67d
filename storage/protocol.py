"""What the platform needs of an object store, whatever keeps the bytes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

Progress = Callable[[int], None]
"""Told how many more bytes went over, from a transfer thread, one call at a time; what it raises ends the transfer."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object in the store. Another `etag` means other bytes."""

    key: str
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Multipart:
    """A multipart upload that was begun and neither completed nor aborted."""

    key: str
    upload_id: str
    started_at: datetime


class ObjectStore(Protocol):
    """Bytes under keys. Every method may be called from any thread.

    Ranges are like slices: `start` is the first byte, `end` one past the last. All methods raise InvalidKey for a key
    that `storage.keys.check_key` refuses, and StorageUnavailable or StorageRefused when the store itself fails.
    """

    @property
    def part_bytes(self) -> int:
        """Length of every part of a multipart upload except the last."""
        ...

    def put(self, key: str, data: bytes | bytearray, content_type: str) -> Stored:
        """Store a small object whole; an object of that key is replaced."""
        ...

    def put_file(self, key: str, path: Path, content_type: str, on_bytes: Progress | None = None) -> Stored:
        """Store a file, in parallel parts when it is large. The file is never held in memory."""
        ...

    def get(self, key: str, start: int = 0, end: int | None = None, *, etag: str | None = None) -> bytes:
        """Read a small object, or a range of one. With an `etag`, of the object that has it and no other.

        Raises ObjectNotFound, RangeNotAvailable when `start` is not 0 and not in the object, and ObjectChanged when
        the object has another etag.
        """
        ...

    def open(self, key: str, start: int = 0, end: int | None = None, *, etag: str | None = None) -> Iterator[bytes]:
        """Read in blocks. A missing object is reported by this call, not by the first block. Raises like `get`."""
        ...

    def fetch(self, key: str, path: Path, on_bytes: Progress | None = None) -> Stored:
        """Copy an object to a file, in parallel ranges when it is large.

        Leaves no file behind when it fails. Raises ObjectNotFound, and ObjectChanged when the object was replaced or
        deleted on the way.
        """
        ...

    def head(self, key: str) -> Stored:
        """Look up size and etag. Raises ObjectNotFound."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects, any number; those that are gone already count as removed."""
        ...

    def delete_prefix(self, prefix: str) -> int:
        """Remove every object whose key begins with `prefix`, and say how many there were."""
        ...

    def list(self, prefix: str) -> Iterator[Stored]:
        """Walk the objects whose keys begin with `prefix`, in order of their keys' UTF-8 bytes."""
        ...

    def list_folders(self, prefix: str) -> Iterator[str]:
        """Walk what keys have up to the next slash after `prefix`, the slash included, in order and each once."""
        ...

    def begin_multipart(self, key: str, content_type: str) -> str:
        """Begin to store an object in parts; the answer is the upload's id."""
        ...

    def put_part(self, key: str, upload_id: str, number: int, data: bytes | bytearray) -> str:
        """Store part `number`, from 1 on, in any order, and return its etag. Raises UploadNotFound."""
        ...

    def complete_multipart(self, key: str, upload_id: str, etags: Sequence[str]) -> Stored:
        """Make one object of parts 1 to len(etags). Raises UploadNotFound."""
        ...

    def abort_multipart(self, key: str, upload_id: str) -> None:
        """Throw a multipart upload and its parts away; one that is gone already is fine."""
        ...

    def list_multiparts(self, prefix: str) -> Iterator[Multipart]:
        """Walk the open multipart uploads to keys that begin with `prefix`."""
        ...

    def url(self, key: str, expires_seconds: int, content_type: str | None = None) -> str | None:
        """Make an address that players can read the object from without credentials.

        None: this store has no such addresses, the platform has to serve the bytes itself. `content_type` overrides
        the stored one.
        """
        ...

    def prepare(self) -> None:
        """Create what the store needs before its first use (a private bucket, CORS rules); safe to repeat."""
        ...
