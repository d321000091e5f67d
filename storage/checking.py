"""A look at a store before it is used: what works, what will not, and which setting copes with it."""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from uuid import UUID, uuid4

from storage.errors import ObjectNotFound, StorageError
from storage.keys import video_prefix
from storage.protocol import ObjectStore

TYPE = "application/octet-stream"
CONTENT = b"0123456789"
_TAIL_BYTES = 1000
_CHECKS = video_prefix(UUID(int=0))
_CHECK_SECONDS = 3600
"""Time after which a check is over, however slow the store."""
_RIGHTS = "docs/storage.md lists the rights that the access key needs"


class Level(StrEnum):
    """Weight of a finding."""

    OK = "ok"
    WARNING = "warning"
    """Something is slower, or is left to the operator."""
    FAILED = "failed"
    """The store cannot be used like this."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about the store."""

    level: Level
    text: str


Findings = Iterator[Finding]


def ok(text: str) -> Finding:
    return Finding(Level.OK, text)


def warning(text: str) -> Finding:
    return Finding(Level.WARNING, text)


def failed(text: str) -> Finding:
    return Finding(Level.FAILED, text)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is tried. `without` says what happens to those who lack it, and what to do."""

    what: str
    try_out: Callable[[], Findings]
    without: str
    level: Level = Level.FAILED
    """Of a failure."""
    first: bool = False
    """Without this, nothing else can work, and nothing else is tried."""

    def findings(self) -> Findings:
        """Yield what it finds; a failure of the store is one, too."""
        try:
            yield from self.try_out()
        except StorageError as error:
            reason = str(error).removeprefix(f"{error.key}: ")
            yield Finding(self.level, f"{self.what} fails: {reason}; {self.without}")


class StoreChecks:
    """Checks that hold for any store. Their objects are those of a video that does not exist.

    The names of their folders begin with the time, so that the next check finds what a killed one has left.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.folder = f"{_CHECKS}{int(time.time())}-{uuid4().hex}/"
        self.small = f"{self.folder}storage-check"
        self.large = f"{self.folder}storage-check-parts"
        self._used = False

    def checks(self) -> Iterator[Check]:
        yield Check("listing objects", self._list, "nothing works before that is mended", first=True)
        yield Check("storing an object", self._put, f"nothing can be uploaded or encoded; {_RIGHTS}", first=True)
        yield Check("reading an object", self._get, f"nothing can be encoded or played; {_RIGHTS}")
        yield Check("a missing object", self._missing, "it cannot be distinguished from a failure")
        yield Check("reading ranges", self._ranges, "large files cannot be fetched, and players cannot seek")
        yield Check("an upload in parts", self._parts, f"files above TRANSCODER_UPLOAD_PART_BYTES fail; {_RIGHTS}")
        yield Check(
            "a copy inside the store", self._copy, "imports of this store's objects go through workers", Level.WARNING
        )

    def last_checks(self) -> Iterator[Check]:
        yield Check("deleting objects", self._delete, f"deleted videos stay and cost money; {_RIGHTS}")

    def clean_up(self) -> Findings:
        """Remove whatever is left. Yields a finding for what stays."""
        if not self._used:
            return
        try:
            for upload in list(self.store.list_multiparts(self.folder)):
                self.store.abort_multipart(upload.key, upload.upload_id)
            self.store.delete_prefix(self.folder)
        except StorageError as error:
            yield warning(f"objects of this check stay under {self.folder} until a later check removes them: {error}")

    def _list(self) -> Findings:
        folders = list(self.store.list_folders(_CHECKS))
        uploads = list(self.store.list_multiparts(_CHECKS))
        yield ok("objects and unfinished uploads are listed")
        with contextlib.suppress(StorageError):  # this check tries the same with its own
            for upload in uploads:
                if _is_left(upload.key):
                    self.store.abort_multipart(upload.key, upload.upload_id)
            for folder in filter(_is_left, folders):
                self.store.delete_prefix(folder)

    def _put(self) -> Findings:
        self._used = True
        self.store.put(self.small, CONTENT, TYPE)
        yield ok("an object is stored")

    def _get(self) -> Findings:
        whole = self.store.get(self.small)
        size = self.store.head(self.small).size
        good = (whole, size) == (CONTENT, len(CONTENT))
        yield ok("it is read back") if good else failed(f"it is read back as {whole[:20]!r} with {size} bytes")

    def _missing(self) -> Findings:
        with contextlib.suppress(ObjectNotFound):
            self.store.head(f"{self.small}-that-is-missing")
            yield failed("the store has an object that nobody stored")
            return
        yield ok("a missing object is reported as missing")

    def _ranges(self) -> Findings:
        part = self.store.get(self.small, 3, 6)
        yield (
            ok("ranges are read")
            if part == CONTENT[3:6]
            else failed("the store ignores ranges: large files cannot be fetched, and players cannot seek")
        )

    def _parts(self) -> Findings:
        data = os.urandom(self.store.part_bytes)
        upload_id = self.store.create_multipart(self.large, TYPE)
        etags = [
            self.store.put_part(self.large, upload_id, 1, data),
            self.store.put_part(self.large, upload_id, 2, data[:_TAIL_BYTES]),
        ]
        stored = self.store.complete_multipart(self.large, upload_id, etags)
        with tempfile.TemporaryDirectory() as folder:
            self.store.fetch(self.large, Path(folder) / "back")
            same = (Path(folder) / "back").read_bytes() == data + data[:_TAIL_BYTES]
        good = same and stored.size == len(data) + _TAIL_BYTES
        yield ok("uploads in parts work") if good else failed("an upload in parts has other bytes than were sent")
        self.store.abort_multipart(self.large, self.store.create_multipart(self.large, TYPE))
        open_uploads = list(self.store.list_multiparts(self.folder))
        yield (
            ok("an upload is aborted")
            if not open_uploads
            else warning(
                "an aborted upload is still listed: a lifecycle rule of the bucket should remove unfinished uploads"
            )
        )

    def _copy(self) -> Findings:
        size = self.store.copy(self.small, f"{self.small}-copy").size
        good = size == len(CONTENT)
        yield ok("objects are copied inside the store") if good else failed(f"a copy has {size} bytes")

    def _delete(self) -> Findings:
        keys = [stored.key for stored in self.store.list(self.folder)]
        self.store.delete(keys[:1])
        self.store.delete(keys[1:])
        left = [stored.key for stored in self.store.list(self.folder)]
        yield (
            ok("objects are deleted")
            if not left
            else failed(
                "the store reports objects as deleted that it still has: the access key may lack the right to delete"
            )
        )


def _is_left(key: str) -> bool:
    """Tell whether a key is of a check that must have ended long ago."""
    started = key.removeprefix(_CHECKS).partition("-")[0]
    return started.isdecimal() and time.time() - int(started) > _CHECK_SECONDS


def findings(checks: StoreChecks) -> Findings:
    """Try everything out, and remove what that leaves. The order is that of the checks."""
    try:
        for check in checks.checks():
            fails = False
            for finding in check.findings():
                fails |= finding.level is Level.FAILED
                yield finding
            if fails and check.first:
                return
        for check in checks.last_checks():
            yield from check.findings()
    finally:
        yield from checks.clean_up()
