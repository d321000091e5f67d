"""Writing an object whose bytes come one after the other, in parallel parts and bounded memory, on threads."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

from storage.errors import UploadNotFound
from storage.parts import PartBuffer
from storage.protocol import ObjectStore, StoredObject

PARALLEL_PARTS = 3
"""Parts on their way. With the one that is being filled, they are all that is in memory."""


class ObjectWriter:
    """An object that is being written. Another writer can continue after the parts that this one has stored.

    A context manager: at its end nothing is on its way any more. What it has stored stays there.
    """

    def __init__(  # noqa: PLR0913 - what is written, and how
        self,
        store: ObjectStore,
        key: str,
        content_type: str,
        *,
        part_bytes: int,
        upload_id: str,
        on_upload: Callable[[str], object],
    ) -> None:
        """Continue a multipart upload, if there is one. `on_upload` records the id of another one, before its parts."""
        self._part_bytes = part_bytes
        self._store = store
        self._key = key
        self._content_type = content_type
        self._on_upload = on_upload
        self._upload_id, self._etags = _continued(store, key, upload_id, part_bytes)
        self._on_their_way: deque[Future[str]] = deque()
        self._part = PartBuffer(part_bytes)
        self._threads = ThreadPoolExecutor(PARALLEL_PARTS, thread_name_prefix="parts")

    @property
    def stored(self) -> int:
        """Bytes that are stored in parts."""
        return len(self._etags) * self._part_bytes

    @property
    def written(self) -> int:
        """Bytes that were written so far, those of other writers before included."""
        return self.stored + len(self._on_their_way) * self._part_bytes + len(self._part)

    def write(self, data: bytes) -> None:
        """Append bytes. Waits while too many are on their way. Raises StorageError."""
        view = memoryview(data)
        while view:
            view = self._part.take(view)
            if self._part.full:
                self._send()

    def restart(self) -> None:
        """Forget all that was written."""
        self._drain(0)
        if self._upload_id:
            self._store.abort_multipart(self._key, self._upload_id)
        self._upload_id, self._etags, self._part = "", [], PartBuffer(self._part_bytes)

    def finish(self) -> StoredObject:
        """Complete the object."""
        if not self._upload_id:
            return self._store.put(self._key, self._part.data, self._content_type)
        if self._part:
            self._send()
        self._drain(0)
        return self._store.complete_multipart(self._key, self._upload_id, self._etags)

    def _send(self) -> None:
        if not self._upload_id:
            self._upload_id = self._store.create_multipart(self._key, self._content_type, part_bytes=self._part_bytes)
            self._on_upload(self._upload_id)
        self._drain(PARALLEL_PARTS - 1)
        part, self._part = self._part.data, PartBuffer(self._part_bytes)
        number = len(self._etags) + len(self._on_their_way) + 1
        sent = self._threads.submit(self._store.put_part, self._key, self._upload_id, number, part)
        self._on_their_way.append(sent)

    def _drain(self, left: int) -> None:
        """Wait until no more than so many parts are on their way."""
        while self._on_their_way and (len(self._on_their_way) > left or self._on_their_way[0].done()):
            self._etags.append(self._on_their_way[0].result())
            self._on_their_way.popleft()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        wait(self._on_their_way)
        self._threads.shutdown()


def _continued(store: ObjectStore, key: str, upload_id: str, part_bytes: int) -> tuple[str, list[str]]:
    """Return a multipart upload and the etags of its first parts. Nothing where it is not there, or has none."""
    if not upload_id:
        return "", []
    etags: list[str] = []
    try:
        for part in store.list_parts(key, upload_id):
            if part.number != len(etags) + 1 or part.size != part_bytes:
                break
            etags.append(part.etag)
    except UploadNotFound:
        return "", []
    return upload_id, etags
