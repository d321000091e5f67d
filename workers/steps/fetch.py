"""Fetch the source of an imported video: into the store while it arrives, and on from there after an interruption."""

import hashlib
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime

from execution.ffmpeg import Stopped
from jobs.leasing.steps import StepWork
from jobs.lifecycle.importing import import_advance, video_imported
from outbound.errors import DownloadChanged, DownloadFailed, DownloadTooLarge
from outbound.fetching import Download, Part
from storage.buckets import SCHEME
from storage.keys import source_key
from storage.parts import part_bytes_for
from storage.writing import ObjectWriter
from transcoding.errors import ChecksumMismatch, InputRejected
from transcoding.sniffing.container import HEAD_BYTES, sniff
from transcoding.sniffing.refused import refusal
from videos.imports import ImportedSource
from videos.models import Import
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write
from workers.source.bucket import Remote, opened
from workers.tools import Tools

IMPORT_SECONDS = 24 * 3600.0
"""Time from the request to the last byte."""
_CUTS = 5
"""Connections in a row that may end without a byte before the retry policy decides."""
_PAUSE_SECONDS = 1.0
"""Before the second of them; it doubles each time."""
_REPORT_SECONDS = 1.0
_STORED_TYPE = "application/octet-stream"
"""Never the server's: a browser that opens the store's URL must not run a file of a stranger's."""

log = logging.getLogger(__name__)


class NotAVideo(InputRejected):
    """The first bytes of a file are those of no container that is accepted."""

    code = "not_a_video"


class EmptyFile(InputRejected):
    """A file has no bytes."""

    code = "empty_file"


class ImportTimeout(InputRejected):
    """A file did not arrive in time."""

    code = "import_timeout"


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Fetch the file, store it as the video's source, and have it inspected."""
    row = retry_write(lambda: Import.objects.get(video=work.video), control)
    source = Fetching(work, row, tools, control).fetch()
    result = {"bytes": source.size_bytes}
    retry_write(lambda: video_imported(claim=work.claim, source=source, result=result), control)


class Fetching:
    """One attempt to fetch a file."""

    def __init__(self, work: StepWork, row: Import, tools: Tools, control: StepControl) -> None:
        self._claim = work.claim
        self._video = work.video
        self._key = source_key(work.video.id)
        self._row = row
        self._tools = tools
        self._control = control
        age = (datetime.now(UTC) - work.video.created_at).total_seconds()
        self._ends_at = time.monotonic() + IMPORT_SECONDS - max(0.0, age)
        self._validator = row.validator
        self._size = row.size_bytes
        self._head = b""
        self._container = ""
        self._sha256 = hashlib.sha256()
        self._hashed = 0
        self._reported_at = 0.0
        self._resumable = False

    def fetch(self) -> ImportedSource:
        """Fetch all of it. Raises InputRejected for a file that nobody can have, DownloadFailed, StorageError."""
        if self._row.url.startswith(SCHEME):
            remote = opened(self._row.url, self._video, self._tools.buckets)
            if self._tools.store.copies_from(remote.store):
                return self._copied(remote)
        writer = ObjectWriter(
            self._tools.store,
            self._key,
            _STORED_TYPE,
            part_bytes=part_bytes_for(self._tools.policy.max_source_bytes, self._tools.store.part_bytes),
            upload_id=self._row.multipart_id,
            on_upload=lambda upload_id: self._record(multipart_id=upload_id),
        )
        with writer:
            self._receive_all(writer)
            if not writer.written:
                raise EmptyFile("the file is empty")
            stored = writer.finish()
        sha256 = self._verified(stored.size)
        return ImportedSource(
            size_bytes=stored.size, etag=stored.etag, sha256=sha256, container=self._container or self._sniffed()
        )

    def _copied(self, remote: Remote) -> ImportedSource:
        """Let the store copy an object of its own server. It is read once where a checksum was promised."""
        self._limit(remote.size)
        if not remote.size:
            raise EmptyFile("the file is empty")
        self._container = _container(remote.head(HEAD_BYTES))
        self._record(size_bytes=remote.size, received_bytes=0)
        with ThreadPoolExecutor(1, thread_name_prefix="copy") as thread:
            copying = thread.submit(remote.copy_to, self._tools.store, self._key, _STORED_TYPE)
            while not wait([copying], timeout=_REPORT_SECONDS).done:
                self._control.moved()  # each of its requests has a time limit of its own
        stored = copying.result()
        sha256 = self._verified(stored.size) if self._row.sha256 else ""
        return ImportedSource(size_bytes=stored.size, etag=stored.etag, sha256=sha256, container=self._container)

    def _receive_all(self, writer: ObjectWriter) -> None:
        """Fetch what is missing, over as many connections as it takes."""
        cuts = 0
        while self._size is None or writer.written < self._size:
            before = writer.written
            try:
                self._receive(writer)
            except DownloadFailed as error:
                if time.monotonic() >= self._ends_at:
                    raise ImportTimeout("the file did not arrive within a day") from error
                cuts = 1 if writer.written > before else cuts + 1
                if cuts >= _CUTS:
                    raise
                log.info("a download was interrupted", extra={"event": "download_interrupted", "reason": str(error)})
                self._wait(_PAUSE_SECONDS * 2 ** (cuts - 1))
            else:
                break
        self._look_at_head(last=True)

    def _receive(self, writer: ObjectWriter) -> None:
        """Fetch over one connection. Raises DownloadError; DownloadFailed where it ends early."""
        with self._opened(writer) as download:
            skipped = self._begin(writer, download)
            for block in download.blocks():
                self._control.moved(len(block))
                rest = block[skipped:]
                skipped -= len(block) - len(rest)
                if rest:
                    self._take(writer, rest)
        if self._size is not None and writer.written != self._size:
            raise DownloadFailed(f"{writer.written} bytes of {self._size} have arrived")
        self._size = writer.written

    @contextmanager
    def _opened(self, writer: ObjectWriter) -> Iterator[Download | Remote]:
        start = writer.written if self._validator else 0
        validator = self._validator if writer.written else ""
        if self._row.url.startswith(SCHEME):
            yield opened(self._row.url, self._video, self._tools.buckets, start=start, validator=validator)
            return
        download = self._tools.downloader.of(self._video.owner_id).open(
            self._row.url, ends_at=self._ends_at, part=Part(start, validator=validator), on_wait=self._check
        )
        with download as found:
            yield found

    def _begin(self, writer: ObjectWriter, download: Download | Remote) -> int:
        """Look at what the server says. Returns the bytes at the beginning of the response that are there already."""
        position = writer.written
        if position and download.start == 0 and not (self._validator and download.validator == self._validator):
            # Nobody knows whether it is the same file, or the server sends no parts.
            writer.restart()
            self._head, self._sha256, self._hashed, position = b"", hashlib.sha256(), 0, 0
        if download.size is not None:
            self._limit(download.size)
            if position and self._size not in (None, download.size):
                raise DownloadChanged("the file changed while it was fetched")
        if not position:
            self._validator, self._size = download.validator, download.size
            self._record(validator=self._validator, size_bytes=self._size, received_bytes=position)
        self._resumable = download.resumable
        return position - download.start

    def _take(self, writer: ObjectWriter, data: bytes) -> None:
        self._limit(writer.written + len(data))
        if self._hashed == writer.written:
            self._sha256.update(data)
            self._hashed += len(data)
        if writer.written == len(self._head) < HEAD_BYTES:
            self._head += data[: HEAD_BYTES - len(self._head)]
            self._look_at_head()
        stored = writer.stored
        writer.write(data)
        if writer.stored > stored and self._resumable:
            self._control.published()
        self._report(writer.written)

    def _limit(self, size: int) -> None:
        allowed = self._tools.policy.max_source_bytes
        if size > allowed:
            raise DownloadTooLarge(f"the file has more than {allowed} bytes, which is the most that a video may have")

    def _look_at_head(self, *, last: bool = False) -> None:
        """Find out from the first bytes whether it is a video, before all of it is fetched."""
        if not self._container and self._head and (last or len(self._head) == HEAD_BYTES):
            self._container = _container(self._head)

    def _sniffed(self) -> str:
        """Find the container of a file whose beginning another attempt has fetched."""
        return _container(self._tools.store.get(self._key, 0, HEAD_BYTES))

    def _verified(self, size: int) -> str:
        """Return the SHA-256 of all of it. Raises ChecksumMismatch where another one was promised."""
        sha256 = self._digest(size)
        if self._row.sha256 not in ("", sha256):
            raise ChecksumMismatch(f"the file that was fetched has the checksum sha256:{sha256}")
        return sha256

    def _digest(self, size: int) -> str:
        """Return the SHA-256 of all of it. Parts that another attempt has stored are read again."""
        if self._hashed == size:
            return self._sha256.hexdigest()
        digest = hashlib.sha256()
        for block in self._tools.store.open(self._key):
            digest.update(block)
            self._control.moved(len(block))
        return digest.hexdigest()

    def _report(self, received: int) -> None:
        if time.monotonic() - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = time.monotonic()
            if self._size:
                self._control.advanced(received, self._size)
            self._record(received_bytes=received)

    def _record(self, **facts: str | int | None) -> None:
        retry_write(lambda: import_advance(claim=self._claim, **facts), self._control)

    def _check(self) -> None:
        if self._control.is_set():
            raise Stopped

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._control.moved()
            time.sleep(min(0.2, max(0.0, until - time.monotonic())))


def _container(head: bytes) -> str:
    family = sniff(head)
    if family is None:
        raise NotAVideo(refusal(head))
    return family
