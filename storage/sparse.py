"""Sparse local copy of a source: a file of its full size with the ranges that a step reads; the rest are holes."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO

from storage.errors import ObjectChanged, ObjectNotFound, RangeNotAvailable
from storage.protocol import ObjectStore
from storage.transfer import TransferProgress, run_parallel
from transcoding.containers.mp4_index import (
    LARGEST_HEAD_BYTES,
    LARGEST_INDEX_BYTES,
    MAX_TOP_BOXES,
    IndexTooLarge,
    Mp4Index,
    TopBox,
    read_index,
    read_top_box,
)
from transcoding.containers.mp4_tables import UnusableIndex
from transcoding.containers.spans import Span, missing, total, union
from transcoding.errors import InputChanged
from transcoding.sniffing.container import sniff

_THREADS = 16
"""Ranges fetched at a time: most are short, and wait for the store rather than for bytes."""
_BLOCK_BYTES = 4096
_MEDIA = "mdat"


@dataclass
class SparseSource:
    """Fills `file` with ranges of one object; each byte is fetched once.

    `moved` is called with the length of every fetched block. Methods raise InputChanged when the object is gone or
    another one.
    """

    store: ObjectStore
    key: str
    etag: str
    size: int
    file: IO[bytes]
    moved: Callable[[int], None]
    fetched: list[Span] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.file.truncate(self.size)

    def index(self, look: Callable[[IO[bytes], int], None] = lambda _file, _size: None) -> Mp4Index:
        """Fetch every box but the media, and read from them where the media is. Raises UnusableIndex.

        `look` gets the file and its size in between.
        """
        moov = self.fetch_index()
        look(self.file, self.size)
        return read_index(self._read(moov.payload, moov.end), self.size)

    def fetch_index(self, largest: int = LARGEST_INDEX_BYTES) -> TopBox:
        """Fetch every box but the media, and return the index. Raises UnusableIndex, also for more than `largest`."""
        boxes = list(self._boxes())
        moov = next((box for box in boxes if box.kind == "moov"), None)
        if moov is None:
            raise UnusableIndex("the file has no index")
        spans = [
            (box.start, min(box.start + LARGEST_HEAD_BYTES, box.end) if box.kind == _MEDIA else box.end)
            for box in boxes
        ]
        if total(spans) > largest:
            raise IndexTooLarge(f"the index has {total(spans)} bytes")
        self.fetch(spans)
        return moov

    def lacks(self, spans: Iterable[Span]) -> int:
        """Return how many bytes of these spans are still to be fetched."""
        return total(missing(spans, self.fetched))

    def fetch(self, spans: Iterable[Span]) -> None:
        """Fetch the missing bytes of these spans, many ranges at a time."""
        lacking = missing(spans, self.fetched)
        length = self.store.part_bytes
        pieces = [
            (position, min(position + length, end)) for start, end in lacking for position in range(start, end, length)
        ]
        progress = TransferProgress(self.moved)
        try:
            run_parallel(lambda piece: self._fetch_piece(piece, progress), pieces, threads=_THREADS, progress=progress)
        except (ObjectChanged, ObjectNotFound, RangeNotAvailable) as error:
            raise InputChanged(str(error)) from error
        self.fetched = union([*self.fetched, *lacking])

    def _fetch_piece(self, piece: Span, progress: TransferProgress) -> None:
        position, end = piece
        for block in self.store.open(self.key, position, end, etag=self.etag):
            os.pwrite(self.file.fileno(), block, position)
            position += len(block)
            progress.add(len(block))
        if position < end:
            raise RangeNotAvailable(self.key)

    def _boxes(self) -> Iterator[TopBox]:
        """Yield the top-level boxes of the file. Raises UnusableIndex."""
        if sniff(self._head(0)) != "mov":
            raise UnusableIndex("the file is no MP4")
        position = 0
        for _ in range(MAX_TOP_BOXES):
            if position == self.size:
                return
            box = read_top_box(self._head(position), position, self.size)
            position = box.end
            yield box
        raise UnusableIndex(f"the file has more than {MAX_TOP_BOXES} boxes")

    def _head(self, start: int) -> bytes:
        """Read the first bytes of a box. A whole block is fetched, as the next boxes may be short."""
        end = min(start + LARGEST_HEAD_BYTES, self.size)
        if self.lacks([(start, end)]):
            self.fetch([(start, min(start + _BLOCK_BYTES, self.size))])
        return self._read(start, end)

    def _read(self, start: int, end: int) -> bytes:
        return os.pread(self.file.fileno(), end - start, start)
