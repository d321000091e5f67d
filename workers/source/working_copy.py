"""Local copy of a source for ffmpeg: the ranges that a step reads where the index allows it, else the whole file.

For a source without a reliable index, the whole file is its remux.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from storage.keys import indexed_key
from storage.protocol import ObjectStore
from storage.sparse import SparseSource
from transcoding.commands.diagnosis import is_of_a_seek
from transcoding.containers.mp4_index import Mp4Index
from transcoding.containers.mp4_tables import UnusableIndex
from transcoding.containers.spans import Span, total
from transcoding.errors import InputRejected
from transcoding.probing.facts import SourceFacts
from videos.models import Video
from workers.lease.control import StepControl
from workers.source.cache import SourceCache

Answer = TypeVar("Answer")
SpansOf = Callable[[Mp4Index], Sequence[Span]]
"""Chooses the bytes of a source that a step reads."""

Look = Callable[[IO[bytes], int], None]
"""Looks at a file and its size, and may raise InputRejected."""

SMALL_BYTES = 16 << 20
"""Sources up to this size are fetched whole: parts save less than their requests cost.

That of the audio of a minute, interleaved frame by frame, takes a thousand requests. Each costs worker and store 4 ms
of processor time together (measured with SeaweedFS), as much as a megabyte does.
"""
_MAX_PARTS = 0.75
"""Share of a source above which it is fetched whole: that costs little more, and serves other steps on this machine."""


class WholeNeeded(Exception):
    """Parts of the source do not suffice; the text is the reason. The step starts again with the whole file."""


@dataclass(frozen=True, slots=True)
class WorkingCopy:
    """A file that ffmpeg can read. `index` is None for a whole file, and set for parts of one.

    `fetch` adds more parts. It raises WholeNeeded when they are most of the source.
    """

    path: Path
    index: Mp4Index | None = None
    fetch: Callable[[Sequence[Span]], None] = lambda _: None

    def stderr_line(self, line: str) -> None:
        """Handle a line of ffmpeg's stderr. Raises WholeNeeded when it may mean that a hole was read."""
        if self.index and not is_of_a_seek(line):
            raise WholeNeeded(f"ffmpeg says: {line.strip()[-200:]}")

    def refusal(self, text: str) -> Exception:
        """Return the error to raise when the content of the source seems to be wrong."""
        return WholeNeeded(text) if self.index else InputRejected(text)


class SourceReader:
    """Access of one step to its source. `report` goes into the step's result."""

    def __init__(
        self, video: Video, *, cache: SourceCache, store: ObjectStore, scratch: Path, control: StepControl
    ) -> None:
        self._video = video
        self._cache = cache
        self._store = store
        self._scratch = scratch
        self._control = control
        self._bytes = 0
        self._seconds = 0.0
        self._whole_because = ""

    @property
    def report(self) -> Mapping[str, object]:
        """Fetched bytes, seconds of fetching, and the reason for opening the whole source, or an empty text."""
        return {
            "source_bytes": self._bytes,
            "source_seconds": round(self._seconds, 3),
            "source_whole": self._whole_because,
        }

    def read(
        self,
        facts: SourceFacts | None,
        spans_of: SpansOf,
        use: Callable[[WorkingCopy], Answer],
        *,
        look: Look = lambda _file, _size: None,
    ) -> Answer:
        """Call `use` with parts of the source if possible, and otherwise, or if they do not suffice, with all of it.

        `facts` are None until the source is inspected. `look` gets a copy with every box but the media, where parts may
        be enough, before the tables in them are read. Raises InputChanged when the source is gone or another one.
        """
        try:
            with self._parts(facts, spans_of, look) as copy:
                return use(copy)
        except (WholeNeeded, UnusableIndex) as reason:
            self._whole_because = str(reason)
        with self.whole(facts) as copy:
            return use(copy)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self._seconds += time.monotonic() - started

    @contextmanager
    def _parts(self, facts: SourceFacts | None, spans_of: SpansOf, look: Look) -> Iterator[WorkingCopy]:
        video = self._video
        self._refuse_parts(facts)
        with tempfile.NamedTemporaryFile(dir=self._scratch, prefix="source-") as file:
            source = SparseSource(self._store, video.source_key, video.etag, video.size_bytes, file, self._moved)
            with self._timed():
                index = source.index(look)
            copy = WorkingCopy(Path(file.name), index, lambda spans: self._fetch(source, spans))
            copy.fetch(spans_of(index))
            yield copy

    def _fetch(self, source: SparseSource, spans: Sequence[Span]) -> None:
        if total(spans) > _MAX_PARTS * source.size:
            raise WholeNeeded("most of it is needed")
        with self._timed():
            source.fetch(spans)

    def _refuse_parts(self, facts: SourceFacts | None) -> None:
        video = self._video
        if video.size_bytes <= SMALL_BYTES:
            raise WholeNeeded("it is small")
        if facts and facts.sample_shift is None:
            raise WholeNeeded("its index is not relied on")
        if self._cache.holds(video.source_key, etag=video.etag):
            raise WholeNeeded("it is on this machine")

    @contextmanager
    def whole(self, facts: SourceFacts | None) -> Iterator[WorkingCopy]:
        """Yield all of the source, or of its remux. Raises InputChanged when it is gone or another one."""
        video = self._video
        remuxed = facts is not None and facts.remuxed
        key, etag = (indexed_key(video.id), "") if remuxed else (video.source_key, video.etag)
        with ExitStack() as stack:
            with self._timed():
                path = stack.enter_context(self._cache.open(key, etag=etag, moved=self._moved))
            yield WorkingCopy(path)

    def _moved(self, count: int) -> None:
        self._bytes += count
        self._control.moved(count)
